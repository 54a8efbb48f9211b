"""Text normalisation of the official VQA scorer, quirks included.

The rules are those of `processPunctuation` and `processDigitArticle` in GT-Vision-Lab/VQA
(`PythonEvaluationTools/vqaEvaluation/vqaEval.py`), written anew. Patterns read digits as Python 3 does;
Python 2.7, for which the scorer was written, takes ASCII digits only. On ASCII text the two agree.
"""

from __future__ import annotations

import re
from functools import lru_cache

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_NUMBER_WORDS = {
    "none": "0",
    "zero": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
}
_ARTICLES = frozenset({"a", "an", "the"})
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
# The scorer means to keep a full stop behind a digit too, but its look-behind is misspelt and always holds.
_FULL_STOP = re.compile(r"\.(?!\d)")
# The scorer passes the flag re.UNICODE where `sub` expects a count.
_MOST_FULL_STOPS = int(re.UNICODE)

# Of the scorer's 120 contractions six have no effect and are left out: four with a capital ("Im"), which
# lower-cased text never equals, and two that stand for themselves ("let's"). All others but one put back one
# missing apostrophe, so the right forms are listed here and the wrong ones derived.
_RIGHT_FORMS = """
'ow's'at 'twas ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've
must've mustn't needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've somebody'd've
somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll
that's there'd there'd've there're there's they'd they'd've they'll they're they've wasn't we'd've we've
weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've
why'll why're why's won't would've wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll you're
you've
"""


def _without_one_apostrophe(form: str) -> list[str]:
    return [form[:place] + form[place + 1 :] for place, letter in enumerate(form) if letter == "'"]


_CONTRACTIONS = {wrong: right for right in _RIGHT_FORMS.split() for wrong in _without_one_apostrophe(right)}
# The scorer's table has this pair the wrong way round; to be equal to it means to keep that.
_CONTRACTIONS["somebody'd"] = "somebodyd"


def clean_answer(text: str) -> str:
    r"""Put spaces for newlines and tabs and strip both ends: what the scorer does to all text, always.

    >>> clean_answer(" ice\tcream\n")
    'ice cream'
    """
    return text.replace("\n", " ").replace("\t", " ").strip()


def normalize_answer(text: str) -> str:
    """Normalise an answer as the official VQA scorer does where references differ.

    In this order: clean (`clean_answer`); drop a punctuation mark that touches a space anywhere in the text,
    and every mark if a digit-comma-digit occurs, else put a space for it; drop full stops that no digit
    follows (the first 32); lower-case; number words up to ten become digits; articles go; contractions get
    their apostrophe. Results are cached.

    Args:
        text: An answer, of a person or a model.

    Returns:
        The normalised text, maybe empty. Normalising twice can give something else than once.

    Raises:
        ValueError: If `text` is not a string.

    >>> [normalize_answer(text) for text in ["A Dog.", "two", "black/white", "1,000", "dont know", "10.30."]]
    ['dog', '2', 'black white', '1000', "don't know", '10.30']
    """
    if not isinstance(text, str):
        raise ValueError(f"an answer must be a string, not {type(text).__name__}: {text!r}")
    return _normalize(text)


@lru_cache(maxsize=1 << 17)
def _normalize(text: str) -> str:
    text = _strip_punctuation(clean_answer(text))
    words = (_NUMBER_WORDS.get(word, word) for word in text.lower().split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def _strip_punctuation(text: str) -> str:
    drop_all = _COMMA_IN_NUMBER.search(text) is not None
    replacements = {
        ord(mark): "" if drop_all or f"{mark} " in text or f" {mark}" in text else " "
        for mark in _MARKS
        if mark in text
    }
    return _FULL_STOP.sub("", text.translate(replacements), count=_MOST_FULL_STOPS)
