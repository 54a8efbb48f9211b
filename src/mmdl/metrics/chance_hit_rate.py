"""How often a random order has at least one right item among the first k."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def chance_hit_rate(right: NDArray[np.integer[Any]], items: int, k: int) -> float:
    """Mean over the queries of the exact probability of a hit in a random order.

    Of `N` items, `p` are right: all of the first `k` are wrong with probability C(N - p, k) / C(N, k)
    (hypergeometric distribution), which is a product of `k` factors.

    Args:
        right: `(Q,)` integers in [0, N]: how many items are right for each query, `Q >= 1`.
        items: `N`, at least 1.
        k: At least 1; above `N` it is as `N`.

    Returns:
        A probability in [0, 1].

    >>> round(chance_hit_rate(np.array([1, 1]), items=1000, k=10), 12), chance_hit_rate(np.array([5]), 10, 1)
    (0.01, 0.5)
    """
    wrong = items - right[:, None]  # (Q, 1)
    drawn = np.arange(min(k, items))
    misses = np.prod(np.maximum(wrong - drawn, 0) / (items - drawn), axis=1)  # (Q,)
    return float((1 - misses).mean())
