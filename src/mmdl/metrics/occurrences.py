"""How often numbers occur among others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def occurrences(wanted: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each of `wanted` occurs in `among`; without a table of all pairs.

    Args:
        wanted: `(Q,)` int64.
        among: `(N,)` int64, at least one.

    Returns:
        `(Q,)` int64.

    >>> occurrences(np.array([3, 4, 9]), np.array([3, 3, 4])).tolist()
    [2, 1, 0]
    """
    values, counts = np.unique(among, return_counts=True)
    places = np.searchsorted(values, wanted).clip(max=len(values) - 1)
    return np.where(values[places] == wanted, counts[places], 0).astype(np.int64)
