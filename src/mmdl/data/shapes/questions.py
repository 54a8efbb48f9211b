"""Every question that can be asked about a scene, with its answer: one small pure function per template.

A template yields all its (question, answer) pairs that are unambiguous in the scene; `balance.py` picks among
them. Answers are in the official scorer's normal form: lower case, no articles, digits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import NamedTuple

from mmdl.data.shapes.scene import COLORS, PATTERNS, SHAPES, SIZES, Scene, SceneObject

PLURALS = {shape: shape + "s" for shape in SHAPES}
EDGES = {"leftmost": ("x", 1), "rightmost": ("x", -1), "topmost": ("y", 1), "bottommost": ("y", -1)}
"""Word -> axis, and the sign that makes the named end the smallest coordinate."""

_RELATION_MARGIN = 64  # centres this far apart (8 pixels at 64) are plainly left of, or above, each other
_EDGE_MARGIN = 40  # between the centres of the outermost object and the next
_REACH_MARGIN = 16  # likewise between their edges

Pairs = Iterator[tuple[str, str]]


class Facts(NamedTuple):
    """A scene with what the templates look up again and again.

    Attributes:
        objects: The scene's objects.
        counts: How many objects have an attribute value, or a tuple of values in the order of size, pattern,
            color, shape: `counts["red"]`, `counts["red", "circle"]`.
    """

    objects: tuple[SceneObject, ...]
    counts: Counter[str | tuple[str, str]]

    @classmethod
    def of(cls, scene: Scene) -> Facts:
        """Looks a scene through, once."""
        counts: Counter[str | tuple[str, str]] = Counter()
        for item in scene.objects:
            color, shape, size, pattern = item.color, item.shape, item.size, item.pattern
            counts.update((color, shape, size, pattern, (color, shape), (size, shape), (pattern, shape)))
        return cls(scene.objects, counts)


class Template(NamedTuple):
    """One kind of question.

    Attributes:
        name: Name of the function that makes it.
        family: existence, count, attribute, comparison or spatial.
        question_type: First words, as in VQA v2.
        answer_type: yes/no, number or other, as in VQA v2.
        share: Part of all questions that it should have, relative to the others.
        pairs: Facts -> all (question, answer) pairs of a scene.
    """

    name: str
    family: str
    question_type: str
    answer_type: str
    share: float
    pairs: Callable[[Facts], Pairs]


def article(word: str) -> str:
    """`word` after its indefinite article.

    >>> article("orange"), article("square")
    ('an orange', 'a square')
    """
    return ("an " if word[0] in "aeiou" else "a ") + word


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


# Existence


def exists_color_shape(facts: Facts) -> Pairs:
    """Is there a red circle?"""
    for color in COLORS:
        # Of the colours that are absent, most answers would be "no" whatever the shape: a model learns to look
        # at the colour only, scores 0.9, and gets no gradient for shapes (measured).
        if color in facts.counts:
            for shape in SHAPES:
                yield f"Is there {article(color)} {shape}?", _yes((color, shape) in facts.counts)


def exists_pattern_shape(facts: Facts) -> Pairs:
    """Is there a striped circle?"""
    for pattern in PATTERNS:
        for shape in SHAPES:
            yield f"Is there a {pattern} {shape}?", _yes((pattern, shape) in facts.counts)


def exists_color(facts: Facts) -> Pairs:
    """Are there any blue shapes?"""
    for color in COLORS:
        yield f"Are there any {color} shapes?", _yes(color in facts.counts)


def exists_shape(facts: Facts) -> Pairs:
    """Are there any circles?"""
    for shape in SHAPES:
        yield f"Are there any {PLURALS[shape]}?", _yes(shape in facts.counts)


# Count


def count_color(facts: Facts) -> Pairs:
    """How many red shapes are there?"""
    for color in COLORS:
        yield f"How many {color} shapes are there?", str(facts.counts[color])


def count_shape(facts: Facts) -> Pairs:
    """How many circles are there?"""
    for shape in SHAPES:
        yield f"How many {PLURALS[shape]} are there?", str(facts.counts[shape])


def count_look(facts: Facts) -> Pairs:
    """How many striped shapes are there? How many large shapes are there?"""
    for look in PATTERNS + SIZES:
        yield f"How many {look} shapes are there?", str(facts.counts[look])


def count_all(facts: Facts) -> Pairs:
    """How many shapes are there?"""
    yield "How many shapes are there?", str(len(facts.objects))


# Attribute


def color_of_shape(facts: Facts) -> Pairs:
    """What color is the circle?"""
    for item in facts.objects:
        if facts.counts[item.shape] == 1:
            yield f"What color is the {item.shape}?", item.color


def color_of_size_shape(facts: Facts) -> Pairs:
    """What color is the large circle?"""
    for item in facts.objects:
        if facts.counts[item.size, item.shape] == 1:
            yield f"What color is the {item.size} {item.shape}?", item.color


def shape_of_color(facts: Facts) -> Pairs:
    """What shape is the red object?"""
    for item in facts.objects:
        if facts.counts[item.color] == 1:
            yield f"What shape is the {item.color} object?", item.shape


def size_of_color(facts: Facts) -> Pairs:
    """What size is the red object?"""
    for item in facts.objects:
        if facts.counts[item.color] == 1:
            yield f"What size is the {item.color} object?", item.size


def _patterns_differ(facts: Facts) -> bool:
    """Most objects are solid: asked of every scene, most answers would be "solid"."""
    return len({item.pattern for item in facts.objects}) > 1


def pattern_of_color(facts: Facts) -> Pairs:
    """What pattern does the red object have?"""
    for item in facts.objects:
        if _patterns_differ(facts) and facts.counts[item.color] == 1:
            yield f"What pattern does the {item.color} object have?", item.pattern


def is_patterned(facts: Facts) -> Pairs:
    """Is the red object striped?"""
    for item in facts.objects:
        if _patterns_differ(facts) and facts.counts[item.color] == 1:
            for pattern in PATTERNS:
                yield f"Is the {item.color} object {pattern}?", _yes(item.pattern == pattern)


# Comparison


def more_shapes(facts: Facts) -> Pairs:
    """Are there more circles than squares?"""
    for one, other in permutations(SHAPES, 2):
        if one in facts.counts or other in facts.counts:
            text = f"Are there more {PLURALS[one]} than {PLURALS[other]}?"
            yield text, _yes(facts.counts[one] > facts.counts[other])


def more_colors(facts: Facts) -> Pairs:
    """Are there more red shapes than blue shapes?"""
    for one, other in permutations(COLORS, 2):
        if one in facts.counts or other in facts.counts:
            text = f"Are there more {one} shapes than {other} shapes?"
            yield text, _yes(facts.counts[one] > facts.counts[other])


def is_larger(facts: Facts) -> Pairs:
    """Is the circle larger than the square?"""
    for one, other in permutations(facts.objects, 2):
        # Two large ones may differ by a pixel: nobody could say.
        if one.size != other.size and facts.counts[one.shape] == facts.counts[other.shape] == 1:
            yield f"Is the {one.shape} larger than the {other.shape}?", _yes(one.size == "large")


def is_same_color(facts: Facts) -> Pairs:
    """Are the circle and the square the same color?"""
    for one, other in permutations(facts.objects, 2):
        if facts.counts[one.shape] == facts.counts[other.shape] == 1:
            text = f"Are the {one.shape} and the {other.shape} the same color?"
            yield text, _yes(one.color == other.color)


# Spatial


def outermost(facts: Facts, edge: str) -> SceneObject | None:
    """The leftmost, rightmost, topmost or bottommost object, or None where it isn't plain at sight.

    Args:
        facts: The scene.
        edge: A key of `EDGES`.
    """
    axis, sign = EDGES[edge]
    ranked = sorted((sign * getattr(item, axis), index) for index, item in enumerate(facts.objects))
    first = facts.objects[ranked[0][1]]
    if len(ranked) > 1:
        if ranked[1][0] - ranked[0][0] < _EDGE_MARGIN:
            return None
        # A large object may reach as far out as a small one whose centre is further out.
        reach = ranked[0][0] - first.radius
        if any(rank - facts.objects[index].radius < reach + _REACH_MARGIN for rank, index in ranked[1:]):
            return None
    return first


def color_of_outermost(facts: Facts) -> Pairs:
    """What color is the leftmost object?"""
    for edge in EDGES:
        item = outermost(facts, edge)
        if item is not None:
            yield f"What color is the {edge} object?", item.color


def shape_of_outermost(facts: Facts) -> Pairs:
    """What shape is the leftmost object?"""
    for edge in EDGES:
        item = outermost(facts, edge)
        if item is not None:
            yield f"What shape is the {edge} object?", item.shape


def relations(one: SceneObject, other: SceneObject) -> Iterator[tuple[str, bool]]:
    """How `one` lies to `other`, along each axis on which it is plain at sight.

    Yields:
        Relation in words, and whether it holds.
    """
    if abs(one.x - other.x) >= _RELATION_MARGIN:
        yield "to the left of", one.x < other.x
        yield "to the right of", one.x > other.x
    if abs(one.y - other.y) >= _RELATION_MARGIN:
        yield "above", one.y < other.y
        yield "below", one.y > other.y


def relation_by_color(facts: Facts) -> Pairs:
    """Is the red object to the left of the blue object?"""
    unique = [item for item in facts.objects if facts.counts[item.color] == 1]
    for one, other in permutations(unique, 2):
        for relation, holds in relations(one, other):
            yield f"Is the {one.color} object {relation} the {other.color} object?", _yes(holds)


def relation_by_shape(facts: Facts) -> Pairs:
    """Is the circle above the square?"""
    unique = [item for item in facts.objects if facts.counts[item.shape] == 1]
    for one, other in permutations(unique, 2):
        for relation, holds in relations(one, other):
            yield f"Is the {one.shape} {relation} the {other.shape}?", _yes(holds)


def relation_by_both(facts: Facts) -> Pairs:
    """Is the red circle to the left of the blue square?"""
    unique = [item for item in facts.objects if facts.counts[item.color, item.shape] == 1]
    for one, other in permutations(unique, 2):
        for relation, holds in relations(one, other):
            first, second = f"{one.color} {one.shape}", f"{other.color} {other.shape}"
            yield f"Is the {first} {relation} the {second}?", _yes(holds)


_TABLE: tuple[tuple[str, str, str, float, Callable[[Facts], Pairs]], ...] = (
    ("existence", "is there a", "yes/no", 1.0, exists_color_shape),
    ("existence", "is there a", "yes/no", 0.1, exists_pattern_shape),
    ("existence", "are there any", "yes/no", 0.5, exists_color),
    ("existence", "are there any", "yes/no", 0.7, exists_shape),
    ("count", "how many", "number", 0.8, count_color),
    ("count", "how many", "number", 0.8, count_shape),
    ("count", "how many", "number", 0.15, count_look),
    ("count", "how many", "number", 0.5, count_all),
    ("attribute", "what color is the", "other", 1.0, color_of_shape),
    ("attribute", "what color is the", "other", 0.15, color_of_size_shape),
    ("attribute", "what shape is the", "other", 1.1, shape_of_color),
    ("attribute", "what size is the", "other", 0.2, size_of_color),
    ("attribute", "what pattern does the", "other", 0.1, pattern_of_color),
    ("attribute", "is the", "yes/no", 0.05, is_patterned),
    ("comparison", "are there more", "yes/no", 0.2, more_shapes),
    ("comparison", "are there more", "yes/no", 0.25, more_colors),
    ("comparison", "is the", "yes/no", 0.05, is_larger),
    ("comparison", "are the", "yes/no", 0.1, is_same_color),
    ("spatial", "what color is the", "other", 0.5, color_of_outermost),
    ("spatial", "what shape is the", "other", 0.2, shape_of_outermost),
    ("spatial", "is the", "yes/no", 0.25, relation_by_color),
    ("spatial", "is the", "yes/no", 0.05, relation_by_shape),
    ("spatial", "is the", "yes/no", 0.05, relation_by_both),
)
TEMPLATES = tuple(
    Template(pairs.__name__, family, question_type, answer_type, share, pairs)
    for family, question_type, answer_type, share, pairs in _TABLE
)
"""All kinds of questions; to add one, write its function and its row."""
