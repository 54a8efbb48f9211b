"""The order of samples in shards: shuffled, and yet read shard by shard."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def shard_order(count: int, seed: int, epoch: int) -> IntArray:
    """`(count,)` int64: the shards in the order of an epoch.

    Args:
        count: Number of shards.
        seed: Seed of the run.
        epoch: Which epoch.
    """
    return _generator(seed, epoch).permutation(count).astype(np.int64)


def windowed_order(offsets: IntArray, seed: int, epoch: int, window: int | None) -> IntArray:
    """A shuffled order of all rows that stays within a few shards at a time.

    The shards are shuffled; the rows of each `window` neighbours in that order are shuffled among themselves. A
    function of its arguments alone, so that a run continues exactly at any row of it.

    Args:
        offsets: `(S + 1,)` int64; shard `s` holds the rows `offsets[s]` to `offsets[s + 1] - 1`.
        seed: Seed of the run.
        epoch: Which epoch's order.
        window: How many shards are read at a time; None: all, a plain shuffle.

    Returns:
        `(N,)` int64 permutation of the rows.

    >>> windowed_order(np.array([0, 2, 4, 6]), seed=0, epoch=0, window=1).tolist()
    [5, 4, 0, 1, 2, 3]
    """
    rng = _generator(seed, epoch)
    shards = rng.permutation(len(offsets) - 1)
    step = window or max(1, len(shards))
    parts = [np.zeros(0, dtype=np.int64)]
    for first in range(0, len(shards), step):
        rows = [np.arange(offsets[s], offsets[s + 1], dtype=np.int64) for s in shards[first : first + step]]
        parts.append(rng.permutation(np.concatenate(rows)))
    return np.concatenate(parts)


def _generator(seed: int, epoch: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, epoch]))
