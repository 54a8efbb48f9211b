"""The order of samples as a function of (seed, epoch), cut into batches and shared out over ranks.

Nothing here keeps state while it runs: a run that stops after `n` batches continues exactly by starting the same
order at batch `n`, on any number of ranks or loader workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

IntArray = npt.NDArray[np.int64]


def grouped_order(offsets: IntArray, seed: int, epoch: int, group: bool = True) -> IntArray:
    """A shuffled order of all rows in which the rows of a group stay together.

    Args:
        offsets: `(G + 1,)` int64; group `g` holds the rows `offsets[g]` to `offsets[g + 1] - 1`.
        seed: Seed of the run.
        epoch: Which epoch's order.
        group: False shuffles row by row instead.

    Returns:
        `(N,)` int64 permutation of the rows.

    >>> grouped_order(np.array([0, 2, 3, 6]), seed=0, epoch=0).tolist()
    [3, 4, 5, 0, 1, 2]
    """
    rng = np.random.Generator(np.random.PCG64([seed, epoch]))
    if not group:
        return rng.permutation(int(offsets[-1])).astype(np.int64)
    permutation = rng.permutation(len(offsets) - 1)
    counts = np.diff(offsets)[permutation]
    ends = np.cumsum(counts)
    shifts = offsets[:-1][permutation] - (ends - counts)
    return np.repeat(shifts, counts) + np.arange(int(offsets[-1]), dtype=np.int64)


def spread_rows(count: int, most: int | None = None) -> IntArray:
    """At most so many of `count` rows, evenly spread and always the same.

    Args:
        count: Rows that there are.
        most: None takes all.

    >>> spread_rows(10, 4).tolist(), spread_rows(3).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    wanted = count if most is None else min(count, most)
    return np.unique(np.linspace(0, count - 1, wanted).astype(np.int64))


def rows_of(outputs: Mapping[str, np.ndarray[Any, Any]], chosen: IntArray) -> dict[str, np.ndarray[Any, Any]]:
    """The outputs of some rows of a split, in their order; rows that were not evaluated are left out.

    Args:
        outputs: Arrays by name, one row a sample, which `rows` names.
        chosen: `(n,)` int64.

    >>> rows_of({"rows": np.array([4, 6]), "x": np.array([0.4, 0.6])}, np.array([6, 7]))["x"].tolist()
    [0.6]
    """
    own = np.isin(outputs["rows"], chosen)
    return {name: value[own] for name, value in outputs.items()}


class GroupedBatchSampler(Sampler[IntArray]):
    """Yields what one rank has of an epoch, as arrays of rows.

    In training a global batch is the next `batch_size * world_size` rows of the order, split evenly into neighbouring
    parts, so that a group lies on as few ranks as possible and every number of ranks sees the same global batches. The
    last one may be smaller. With fewer rows than ranks, an idle rank gets a row of it that must not count: `share` says
    so. In evaluation batches are the same on any number of ranks, which take them in turns: nothing is left out or
    repeated, every sample stands among the same others, and ranks may differ by one batch.

    Args:
        offsets: `(G + 1,)` int64 row offsets of the groups.
        batch_size: Rows in a batch of one rank.
        seed: Seed of the order.
        shuffle: True is training; False walks the rows in their order (evaluation).
        group: Keep the rows of a group together.
        rank: This process's rank.
        world_size: Number of ranks.
        start: (epoch, batch) at which to begin: the position of an interrupted run.
        limit: Use only the first `limit` batches of the unshuffled order, in every epoch (0: all).
        order: (seed, epoch) -> shuffled rows, in place of `grouped_order`.
        even: Cut an epoch into as many batches of nearly equal size, where a small last one would be another task:
            a contrastive loss grows with the batch.
    """

    def __init__(
        self,
        offsets: IntArray,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        group: bool = True,
        rank: int = 0,
        world_size: int = 1,
        start: tuple[int, int] = (0, 0),
        limit: int = 0,
        order: Callable[[int, int], IntArray] | None = None,
        even: bool = False,
    ) -> None:
        self.offsets = np.asarray(offsets, dtype=np.int64)
        self.batch_size = batch_size
        self.seed = seed
        self.training = shuffle
        self.shuffle = shuffle and not limit
        self.group = group
        self.rank = rank
        self.world_size = world_size
        self.start = start
        self.limit = limit
        self.order = order
        self.even = even
        self.epoch = start[0]

    @property
    def num_rows(self) -> int:
        """Number of rows in the split."""
        return int(self.offsets[-1])

    @cached_property
    def bounds(self) -> IntArray:
        """`(B + 1,)` int64: batch `b` of all ranks is made of the places `bounds[b]` to `bounds[b + 1] - 1`."""
        step = self.batch_size * (self.world_size if self.training else 1)
        batches = -(-self.num_rows // step)
        if self.even:
            return np.arange(batches + 1, dtype=np.int64) * self.num_rows // max(1, batches)
        return np.minimum(np.arange(batches + 1, dtype=np.int64) * step, self.num_rows)

    def __len__(self) -> int:
        """Number of batches an epoch on the rank with most, whatever the position."""
        batches = len(self.bounds) - 1
        if not self.training:
            return -(-batches // self.world_size)
        return min(batches, self.limit) if self.limit else batches

    def share(self, batch: int) -> tuple[int, int]:
        """Rows of a training batch: on this rank, and on all; (0, n) on a rank whose row must not count."""
        joined = int(self.bounds[batch + 1] - self.bounds[batch])
        rows, left = divmod(joined, self.world_size)
        return rows + (self.rank < left), joined

    def batch_at(self, place: int) -> int:
        """The batch that the row at a place of the order lies in."""
        return int(np.searchsorted(self.bounds, place, side="right")) - 1

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each."""
        self.epoch = epoch

    def rows_of(self, epoch: int) -> IntArray:
        """`(N,)` int64: all rows in the order of an epoch."""
        if not self.shuffle:
            return np.arange(self.num_rows, dtype=np.int64)
        if self.order is not None:
            return self.order(self.seed, epoch)
        return grouped_order(self.offsets, self.seed, epoch, self.group)

    def __iter__(self) -> Iterator[IntArray]:
        order = self.rows_of(self.epoch)
        if not self.training:
            for batch in range(self.rank, len(self.bounds) - 1, self.world_size):
                yield order[self.bounds[batch] : self.bounds[batch + 1]]
            return
        first = self.start[1] if self.epoch == self.start[0] else 0
        for batch in range(first, len(self)):
            rows = order[self.bounds[batch] : self.bounds[batch + 1]]
            own = np.array_split(rows, self.world_size)[self.rank]
            yield own if len(own) else rows[:1]
