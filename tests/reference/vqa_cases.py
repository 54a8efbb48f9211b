"""Generated inputs for the VQA score: reference answers and a prediction, the same on every Python version.

Integer arithmetic and plain string methods only, so that the cases never change; their SHA-256 is stored
beside the golden scores. Every quirk of the official normalisation has its own kind of text here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

CASES = 12_000

_WORDS = """
yes no red blue green dog cat man woman pizza frisbee left right kitchen tennis skateboard none zero one two
three four five six seven eight nine ten 0 1 2 3 4 10 12 a an the A The café naïve
"""
_PHRASES = [
    "a dog", "the dog", "an apple", "on the table", "black and white", "black/white", "black / white",
    "t-shirt", "t - shirt", "10:30", "10.30", "10.30.", "1,000", "1,000,000", "1, 000", "1,000 - 2,000",
    "3.5", ".5", "5.", "u.s.a.", "u.s.a. 1", "$3.50", "50%", "a.m.", "st. louis", "no.", "yes!", "yes ?",
    "[red]", "(a dog)", "red, blue", "red,blue", "mcdonald's", "men's", "rock & roll", "a/b", "c++",
    "user@host", "back\\slash", "`tick`", '"quoted"', "{set}", "x_y", "<b>", "> 3", "1=1", "wait...", "...",
    "." * 40, "1" + "." * 35, "?", "the", "", " ", "don't know", "o'clock", "2 o'clock", "2 oclock",
    "two people", "2 people", "one of the men", "none of them", "it is 1,5 or 1.5", "i'm here", "Im here",
    "Ive been", "Id've gone",
]  # fmt: skip
_CONTRACTIONS = """
aint arent cant couldve couldnt couldn'tve couldnt've didnt doesnt dont hadnt hadnt've hadn'tve hasnt havent
hed hed've he'dve hes howd howll hows isnt itd itd've it'dve itll let's maam mightnt mightnt've mightn'tve
mightve mustnt mustve neednt notve oclock oughtnt ow's'at 'ows'at 'ow'sat shant shed've she'dve she's shouldve
shouldnt shouldnt've shouldn'tve somebody'd somebodyd've somebody'dve somebodyll somebodys someoned
someoned've someone'dve someonell someones somethingd somethingd've something'dve somethingll thats thered
thered've there'dve therere theres theyd theyd've they'dve theyll theyre theyve twas wasnt wed've we'dve weve
werent whatll whatre whats whatve whens whered wheres whereve whod whod've who'dve wholl whos whove whyll
whyre whys wont wouldve wouldnt wouldnt've wouldn'tve yall yall'll y'allll yall'd've y'alld've y'all'dve youd
youd've you'dve youll youre youve ain't can't don't he's it's we're won't y'all somebodyd
"""
_MARKS = ";/[]\"{}()=+\\_-><@`,?!.:'&%#~"
_SPACES = [" ", "  ", "\n", "\t", " \n", "\r", "\u00a0", "\x0b"]
_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


class _Dice:
    """A 64-bit linear congruential generator (Knuth's MMIX constants)."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def below(self, sides: int) -> int:
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self.state >> 33) % sides

    def pick(self, options):
        return options[self.below(len(options))]

    def chance(self, percent: int) -> bool:
        return self.below(100) < percent


def _text(dice: _Dice) -> str:
    kind = dice.below(100)
    if kind < 30:
        return dice.pick(_PHRASES)
    if kind < 50:
        return dice.pick(_CONTRACTIONS.split()) + dice.pick(["", "", " " + dice.pick(_WORDS.split())])
    if kind < 60:
        number = str(dice.below(100_000))
        cut = dice.below(len(number) + 1)
        return number[:cut] + dice.pick([",", ".", "", ", ", " ,", "-"]) + number[cut:]
    return " ".join(dice.pick(_WORDS.split()) for _ in range(1 + dice.below(4)))


def _insert(dice: _Dice, text: str, piece: str) -> str:
    place = dice.below(len(text) + 1)
    return text[:place] + piece + text[place:]


def _variant(dice: _Dice, text: str) -> str:
    """The same answer as another person might write it; often it is still the same once normalised."""
    kind = dice.below(10)
    if kind == 0:
        return text.upper()
    if kind == 1:
        return "".join(letter.upper() if dice.chance(50) else letter for letter in text)
    if kind == 2:
        return dice.pick(["a ", "an ", "the ", "The "]) + text
    if kind == 3:
        words = [str(_NUMBERS.index(word)) if word in _NUMBERS else word for word in text.split(" ")]
        return " ".join(words)
    if kind == 4:
        return text.replace("'", "")
    if kind == 5:
        return _insert(dice, text, dice.pick(["", " "]) + dice.pick(_MARKS) + dice.pick(["", " "]))
    if kind == 6:
        return text + dice.pick([".", "!", "?", "..", ",", " ."])
    if kind == 7:
        return dice.pick(_SPACES) + text + dice.pick(_SPACES)
    if kind == 8:
        return _insert(dice, text, dice.pick(_SPACES))
    return text


def _noise(dice: _Dice) -> str:
    letters = _MARKS + " .,'-a1290tThe\n\t" + "\u00c9\u2019"
    return "".join(dice.pick(letters) for _ in range(dice.below(16)))


def cases() -> Iterator[tuple[str, list[str]]]:
    """Yield `CASES` pairs of a prediction and its 1 to 14 reference answers, seven in ten with ten."""
    dice = _Dice(20_261_123)
    for _ in range(CASES):
        size = 10 if dice.chance(70) else 1 + dice.below(14)
        concepts = [_noise(dice) if dice.chance(8) else _text(dice) for _ in range(1 + dice.below(4))]
        main = dice.below(len(concepts))
        if dice.chance(15):  # all the same, or the same but for the white space around
            answers = [concepts[main]] * size
            if dice.chance(30):
                answers = [text + dice.pick(["", " ", "\n", "\t"]) for text in answers]
        else:
            share, messy = dice.below(101), dice.below(70)
            answers = [concepts[main] if dice.chance(share) else dice.pick(concepts) for _ in range(size)]
            answers = [_variant(dice, text) if dice.chance(messy) else text for text in answers]
        prediction = _text(dice) if dice.chance(8) else dice.pick(answers)
        while dice.chance(40):
            prediction = _variant(dice, prediction)
        yield prediction, answers


def sha256(texts) -> str:
    """Hex digest of strings in order, each ended by a zero byte."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8") + b"\0")
    return digest.hexdigest()
