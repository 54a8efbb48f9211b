"""Which items a page holds where it can't hold all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmdl.review.browsing.prediction_sets import PredictionSet

MOST_ITEMS = 12_000
"""Items in a page."""
MOST_ANSWERS = 72_000
"""Items times runs in a page."""
RIGHT = 0.5
"""A score of at least so much counts as right, as in the comparison of runs."""


def selected(found: PredictionSet, with_image: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """Places of the items that are kept, the most telling first.

    Three quarters are those on which runs disagree, then the most confident mistakes; among equals those with an image
    come first. The others are spread evenly over the rest, so that what goes right is seen too.

    Args:
        found: N items.
        with_image: `(N,)` whether an image is there.
        most: How many.
    """
    count = len(found.ids)
    disagree, mistake = disagreement(found), confident_mistakes(found)
    order = (
        np.lexsort((~with_image, -mistake, disagree <= 0))
        if len(found.columns) > 1
        else _by_mistake(mistake, with_image)
    )
    if count <= most:
        return order.astype(np.int64)
    first, rest = order[: most - most // 4], np.sort(order[most - most // 4 :])
    spread = np.unique(np.linspace(0, len(rest) - 1, most // 4).astype(np.int64))
    return np.concatenate([first, rest[spread]]).astype(np.int64)


def disagreement(found: PredictionSet) -> NDArray[np.float64]:
    """`(N,)` how far apart the runs' scores are, in [0, 1]; baselines count where there is but one run."""
    own = [column for column in found.columns if not column.baseline]
    columns = own if len(own) > 1 else found.columns
    scores = np.stack([column.scores for column in columns])
    known = np.isfinite(scores)
    high = np.where(known, scores, -np.inf).max(0)
    low = np.where(known, scores, np.inf).min(0)
    return np.where(known.any(0), high - low, 0.0)


def confident_mistakes(found: PredictionSet) -> NDArray[np.float64]:
    """`(N,)` the greatest confidence with which a run is wrong; -1: none is."""
    worst = np.full(len(found.ids), -1.0)
    for column in found.columns:
        if not column.baseline:
            wrong = column.answered & (column.scores < RIGHT)
            confidence = np.nan_to_num(column.values[:, 0].astype(np.float64), nan=0.0)
            worst = np.maximum(worst, np.where(wrong, confidence, -1.0))
    return worst


def _by_mistake(mistake: NDArray[np.float64], with_image: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.lexsort((~with_image, -mistake))


def shares(counts: list[int], most: int) -> list[int]:
    """How many items of each set are kept, so that a small set is whole.

    >>> shares([5000, 100, 5000], 3000)
    [1450, 100, 1450]
    """
    given = [0] * len(counts)
    left = most
    for rank, place in enumerate(sorted(range(len(counts)), key=counts.__getitem__)):
        given[place] = min(counts[place], left // (len(counts) - rank))
        left -= given[place]
    return given
