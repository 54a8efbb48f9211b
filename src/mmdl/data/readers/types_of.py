"""Question and answer types where a file doesn't name them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_NUMERALS = frozenset(
    ["zero", "none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
)
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)*")


def infer_answer_type(answers: Sequence[str]) -> str:
    """`yes/no`, `number` or `other`, by the most frequent answer; empty without answers.

    >>> infer_answer_type(["Yes"]), infer_answer_type(["3", "3", "many"]), infer_answer_type(["red"])
    ('yes/no', 'number', 'other')
    """
    if not answers:
        return ""
    answer = Counter(text.strip().lower() for text in answers).most_common(1)[0][0]
    if answer in ("yes", "no"):
        return "yes/no"
    return "number" if answer in _NUMERALS or _NUMBER.fullmatch(answer) else "other"


def infer_question_type(question: str) -> str:
    """The first two words in lower case: `how many`, `what color`, `is the`.

    >>> infer_question_type("How many dogs are there?")
    'how many'
    """
    return " ".join(question.lower().split()[:2])
