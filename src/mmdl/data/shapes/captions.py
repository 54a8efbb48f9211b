"""Five captions a scene: each says another thing, and each is true."""

from __future__ import annotations

from collections import Counter

from mmdl.data.shapes.draws import Draws
from mmdl.data.shapes.questions import EDGES, PLURALS, Facts, article, outermost, relations
from mmdl.data.shapes.scene import COLORS, PATTERNS, SHAPES, SIZES, Scene, SceneObject

CAPTIONS = 5
"""Captions an image, as in COCO."""
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
"""Number words from zero on."""


def captions(scene: Scene, draws: Draws) -> list[str]:
    """Five different captions that are true of `scene`.

    What is there, how many there are, what one of them looks like, what is missing, and, where it is plain at
    sight, where something is; else how many have something in common.

    Args:
        scene: The scene.
        draws: Source of randomness.
    """
    facts = Facts.of(scene)
    where = _relation(facts, draws) or _edge(facts, draws) or _tally(facts, draws)
    fourth = draws.choice((_tally, _missing))(facts, draws)
    if fourth == where:
        fourth = _missing(facts, draws)
    return [_inventory(scene, draws), _total(scene, draws), _portrait(facts, draws), fourth, where]


def plural(number: int, words: str, shape: str = "") -> str:
    """A number of things in words.

    >>> plural(1, "red ", "circle"), plural(2, "orange ", "circle"), plural(1, "orange ", "")
    ('a red circle', 'two orange circles', 'an orange shape')
    """
    if number == 1:
        return article(words + (shape or "shape"))
    return f"{NUMBERS[number]} {words}{PLURALS.get(shape, 'shapes')}"


def _inventory(scene: Scene, draws: Draws) -> str:
    """All objects, those that look alike together."""
    detail = draws.below(3)
    groups: Counter[tuple[str, str]] = Counter()
    for item in scene.objects:
        words = ("", item.size + " ", "" if item.pattern == "solid" else item.pattern + " ")[detail]
        groups[words + item.color + " ", item.shape] += 1
    things = [plural(number, words, shape) for (words, shape), number in groups.items()]
    text = things[0] if len(things) == 1 else ", ".join(things[:-1]) + " and " + things[-1]
    return draws.choice(
        (f"A picture of {text}.", f"{text[0].upper()}{text[1:]}.", f"This image shows {text}.")
    )


def _total(scene: Scene, draws: Draws) -> str:
    number = len(scene.objects)
    things = NUMBERS[number] + (" shape" if number == 1 else " shapes")
    return draws.choice(
        (
            f"An image with {things} on a gray background.",
            f"There {'is' if number == 1 else 'are'} {things} in the picture.",
            f"{things.capitalize()} on a light background.",
        )
    )


def _portrait(facts: Facts, draws: Draws) -> str:
    item: SceneObject = draws.choice(facts.objects)
    look = f"{item.size} {item.pattern} {item.color} {item.shape}"
    return draws.choice((f"There is a {look}.", f"A {look} can be seen.", f"One of the shapes is a {look}."))


def _tally(facts: Facts, draws: Draws) -> str:
    word = draws.choice(
        sorted({getattr(draws.choice(facts.objects), name) for name in ("color", "size", "pattern")})
    )
    number = facts.counts[word]
    if number == len(facts.objects):
        return f"Every shape is {word}."
    return f"Exactly {NUMBERS[number]} of the shapes {'is' if number == 1 else 'are'} {word}."


def _missing(facts: Facts, draws: Draws) -> str:
    shapes = [shape for shape in SHAPES if shape not in facts.counts]
    words = [word for word in COLORS + SIZES + PATTERNS if word not in facts.counts]
    if shapes and draws.chance(50):
        return f"There are no {PLURALS[draws.choice(shapes)]}."
    return f"Nothing in the picture is {draws.choice(words)}."


def _relation(facts: Facts, draws: Draws) -> str:
    """How one of the objects lies to another; empty where none does plainly, or by chance.

    Half of them name both objects in full, where that singles them out; the others say that there is such a pair, in as
    few words as people search with.
    """
    if len(facts.objects) < 2 or draws.chance(25):
        return ""
    named = draws.chance(50)
    objects = [item for item in facts.objects if not named or facts.counts[item.color, item.shape] == 1]
    if len(objects) < 2:
        return ""
    one, other = draws.sample(objects, 2)
    found = [relation for relation, holds in relations(one, other) if holds]
    if not found:
        return ""
    relation = draws.choice(found)
    if named:
        return f"The {one.color} {one.shape} is {relation} the {other.color} {other.shape}."
    relation = relation.removeprefix(draws.choice(("to the ", "")))
    first, second = article(_some_words(one, draws)), article(_some_words(other, draws))
    return draws.choice(
        (f"{first[0].upper()}{first[1:]} {relation} {second}.", f"There is {first} {relation} {second}.")
    )


def _some_words(item: SceneObject, draws: Draws) -> str:
    """An object by colour and shape, or by one of them."""
    return draws.choice((f"{item.color} {item.shape}", item.shape, f"{item.color} shape"))


def _edge(facts: Facts, draws: Draws) -> str:
    """What lies at an edge; empty where it isn't plain at sight."""
    edge = draws.choice(tuple(EDGES))
    item = outermost(facts, edge)
    return "" if item is None else f"The {edge} shape is {article(item.color)} {item.shape}."
