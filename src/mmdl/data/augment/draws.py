"""Random numbers that are a function of (seed, epoch, sample): augmentation that resumes and distributes exactly."""

from __future__ import annotations

import torch
from torch import Tensor

_MASK = (1 << 63) - 1
_GOLDEN = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_FIRST = -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
_SECOND = -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Logical shift to the right: torch's own fills up with the sign."""
    return (x >> bits).bitwise_and_(_MASK >> (bits - 1))


def _mixed(x: Tensor) -> Tensor:
    """The output function of SplitMix64 (Steele, Lea and Flood 2014); int64 products wrap around."""
    x = (x ^ _shifted(x, 30)).mul_(_FIRST)
    x = x.bitwise_xor_(_shifted(x, 27)).mul_(_SECOND)
    return x.bitwise_xor_(_shifted(x, 31))


def _wrapped(x: int) -> int:
    """The signed 64-bit integer with the same lower 64 bits."""
    return (x + (1 << 63)) % (1 << 64) - (1 << 63)


def _uniform(state: Tensor) -> Tensor:
    """float32 in [0, 1) from the upper 24 bits."""
    return _shifted(_mixed(state), 40).to(torch.float32) * 2.0**-24


class Draws:
    """A stream of uniform numbers for each sample of a batch.

    Which numbers a sample gets depends on the seed, the epoch, its row and how many draws came before: not on the
    batch that it is in, the rank, the number of loader workers, or where the run was interrupted. A counter-based
    generator makes them all at once, on the samples' device.

    Args:
        rows: `(N,)` int64 row of each sample.
        seed: Seed of the run.
        epoch: Which epoch.

    >>> both, alone = Draws(torch.tensor([3, 8]), seed=0, epoch=1), Draws(torch.tensor([8]), seed=0, epoch=1)
    >>> bool(both.uniform(2)[1].equal(alone.uniform(2)[0]))
    True
    """

    def __init__(self, rows: Tensor, seed: int, epoch: int) -> None:
        self.epoch = epoch
        # The seed is mixed on the host: a tensor made from a number would make an accelerator wait.
        start = int(_mixed(torch.tensor(_wrapped(seed * _GOLDEN + 1))))
        self._samples = _mixed(rows * _GOLDEN + start)
        self._state = _mixed(self._samples + _wrapped((epoch + 1) * _GOLDEN))
        self._count = 0

    def uniform(self, count: int) -> Tensor:
        """`(N, count)` float32 in [0, 1)."""
        return _uniform(self._next(count))

    def bytes(self, count: int) -> Tensor:
        """`(N, count)` uint8 in [0, 255], eight from each draw: for noise on every pixel."""
        return _mixed(self._next(-(-count // 8))).view(torch.uint8)[:, :count]

    def _next(self, count: int) -> Tensor:
        """`(N, count)` int64 states of the next draws."""
        steps = torch.arange(self._count + 1, self._count + count + 1, device=self._state.device)
        self._count += count
        return self._state.unsqueeze(1) + steps * _GOLDEN

    def constant(self) -> Tensor:
        """`(N,)` float32 in [0, 1) that is the same in every epoch."""
        return _uniform(self._samples)

    def shared(self) -> Tensor:
        """`(N,)` float32 in [0, 1) that is the same however often it is asked for in an epoch.

        Steps that exclude each other choose by it: one takes what is below a limit, the other what is above.
        """
        return _uniform(self._state)

    def integers(self, count: int, below: int) -> Tensor:
        """`(N, count)` int64 in [0, below)."""
        return (self.uniform(count).double() * below).long()
