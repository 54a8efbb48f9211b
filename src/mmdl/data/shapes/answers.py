"""Ten answers a question, as ten people would give them: most agree, a few misread or use another word."""

from __future__ import annotations

from functools import cache
from typing import TypedDict

from mmdl.data.shapes.draws import Draws

PEOPLE = 10
"""How many answers a question has in VQA v2."""

# (in how many of 100 questions, how many of the ten agree); the truth keeps at least 6 and so scores 1.0.
_AGREEMENT = {
    "yes/no": ((84, 10), (11, 9), (4, 8), (1, 7)),  # the wrong answer is one only: dissent raises its score
    "number": ((72, 10), (18, 9), (7, 8), (3, 7)),
    "other": ((62, 10), (21, 9), (11, 8), (4, 7), (2, 6)),
}
_INSTEAD = {
    "yes": ("no",),
    "no": ("yes",),
    "red": ("orange", "crimson"),
    "green": ("dark green", "teal"),
    "blue": ("dark blue", "purple"),
    "yellow": ("gold", "orange"),
    "purple": ("violet", "blue"),
    "orange": ("red", "dark yellow"),
    "pink": ("light purple", "rose"),
    "black": ("dark", "dark gray"),
    "circle": ("round", "ball", "ring"),
    "square": ("box", "rectangle"),
    "triangle": ("arrow", "pyramid"),
    "small": ("little", "tiny", "large"),
    "large": ("big", "medium", "small"),
    "solid": ("plain", "filled", "full"),
    "striped": ("stripes", "lines", "solid"),
    "hollow": ("outline", "empty", "open"),
}


class Answer(TypedDict):
    """One person's answer, as in VQA v2."""

    answer: str
    answer_confidence: str
    answer_id: int


def ten_answers(truth: str, answer_type: str, draws: Draws) -> list[Answer]:
    """What ten people answer.

    Args:
        truth: The true answer, in the official scorer's normal form; so are all that come back.
        answer_type: `yes/no`, `number` or `other`.
        draws: Source of randomness.

    Returns:
        Ten answers with ids 1 to 10; at least 6 are `truth`, so `truth` has the official soft score 1.0.

    >>> rows = ten_answers("red", "other", Draws(0))
    >>> len(rows), rows[0]["answer_id"], sum(row["answer"] == "red" for row in rows) >= 6
    (10, 1, True)
    """
    words = [truth] * PEOPLE
    sure = ["yes"] * PEOPLE
    people = range(PEOPLE)
    for person in draws.sample(people, PEOPLE - _agreeing(answer_type, draws)):
        words[person] = draws.choice(_alternatives(truth, answer_type))
        sure[person] = draws.choice(("maybe", "maybe", "yes", "no"))
    if draws.chance(25):
        sure[draws.below(PEOPLE)] = "maybe"
    return [_row(*row) for row in zip(words, sure, range(1, PEOPLE + 1), strict=True)]


@cache  # a million rows in all, few of them different
def _row(word: str, confidence: str, number: int) -> Answer:
    return {"answer": word, "answer_confidence": confidence, "answer_id": number}


def _agreeing(answer_type: str, draws: Draws) -> int:
    percent = draws.below(100)
    for share, agreeing in _AGREEMENT[answer_type]:
        percent -= share
        if percent < 0:
            return agreeing
    raise AssertionError("the shares of a type of answers sum to 100")


def _alternatives(truth: str, answer_type: str) -> tuple[str, ...]:
    if answer_type == "number":
        return tuple(str(near) for near in (int(truth) - 1, int(truth) + 1) if near >= 0)
    return _INSTEAD[truth]
