"""The most probable names of a prediction, the same in files, tables and on the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def top_items(
    kind: str, names: Sequence[str], columns: Sequence[int], probabilities: Sequence[float]
) -> list[dict[str, Any]]:
    """One `{kind: name, "probability": p}` a column, in their order; probabilities in [0, 1] with six digits.

    Args:
        kind: What the names are: `class` or `answer`.
        names: All of them.
        columns: `k` positions in `names`, best first.
        probabilities: Theirs.

    >>> top_items("class", ["cat", "dog"], [1, 0], [0.9, 0.1])
    [{'class': 'dog', 'probability': 0.9}, {'class': 'cat', 'probability': 0.1}]
    """
    return [
        {kind: names[column], "probability": round(probability, 6)}
        for column, probability in zip(columns, probabilities, strict=True)
    ]


def top_lines(kind: str, items: Sequence[dict[str, Any]]) -> list[str]:
    """The same as a person reads them.

    >>> top_lines("class", top_items("class", ["cat", "horse"], [1, 0], [0.9, 0.1]))
    ['horse  0.9000', 'cat    0.1000']
    """
    width = max(len(item[kind]) for item in items)
    return [f"{item[kind]:{width}}  {item['probability']:.4f}" for item in items]
