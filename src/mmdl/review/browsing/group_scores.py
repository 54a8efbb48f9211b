"""Scores by group of items, such as the type of the answer: over all items, not only those that a page holds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mmdl.review.browsing.prediction_sets import PredictionSet

MOST = 30
"""Groups of one kind that are worth a table."""


class GroupScores(NamedTuple):
    """Scores of all columns on the items of a group.

    Attributes:
        value: Such as `yes/no`.
        n: Items.
        means: Of each column; NaN where it has none of them.
    """

    value: str
    n: int
    means: list[float]


def group_scores(found: PredictionSet, name: str) -> list[GroupScores]:
    """The groups of one kind, the largest first; none where there are too many, or only one.

    Args:
        found: Items with their columns.
        name: Of the groups: `answer type`.
    """
    values = np.array([facts.groups.get(name, "") for facts in found.facts], dtype=object)
    kinds, index, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    if len(kinds) < 2 or len(kinds) > MOST:
        return []
    means = []
    for column in found.columns:
        known = np.isfinite(column.scores)
        totals = np.bincount(index, weights=np.where(known, column.scores, 0.0), minlength=len(kinds))
        with np.errstate(invalid="ignore"):
            means.append(totals / np.bincount(index, weights=known, minlength=len(kinds)))
    order = np.argsort(-counts, kind="stable")
    return [
        GroupScores(str(kinds[place]), int(counts[place]), [float(mean[place]) for mean in means])
        for place in order
        if kinds[place]
    ]
