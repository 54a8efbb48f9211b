"""Recall@k over the ranks of retrieval records."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

KS = (1, 5, 10)


class Recalls(NamedTuple):
    """Hit rates of a column.

    Attributes:
        at: Of each k of `KS`: the share of queries with a right item among the first k.
        median: Median rank of the best right item, from 1.
        n: Queries.
    """

    at: list[float]
    median: float
    n: int


def recalls(ranks: NDArray[np.int32]) -> Recalls | None:
    """The hit rates; None without a rank.

    Args:
        ranks: `(N,)` from 1; 0: not told.

    >>> recalls(np.array([1, 1, 7, 0]))
    Recalls(at=[0.666..., 0.666..., 1.0], median=1.0, n=3)
    """
    known = ranks[ranks > 0]
    if not len(known):
        return None
    return Recalls([float((known <= k).mean()) for k in KS], float(np.median(known)), len(known))
