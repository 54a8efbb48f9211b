"""Random draws that are the same on every platform and with every version of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from numpy.random import PCG64, SeedSequence

Item = TypeVar("Item")

_BLOCK = 4096


class Draws:
    """A stream of integers that depends on its key only.

    numpy promises the raw bits of a bit generator for ever, but not what `Generator.integers` makes of them
    (NEP 19), so the few methods that the generator needs are written here over the raw bits.

    Args:
        key: Non-negative integers that name the stream, e.g. the seed and the number of the split.

    >>> draws = Draws(0, 1)
    >>> [draws.below(10) for _ in range(8)]
    [2, 8, 5, 9, 6, 4, 2, 5]
    """

    def __init__(self, *key: int) -> None:
        self._bits = PCG64(SeedSequence(key))
        self._values: list[int] = []

    def below(self, stop: int) -> int:
        """An integer in [0, stop), all equally likely (to 2**-53 * stop)."""
        if not self._values:
            self._values = self._bits.random_raw(_BLOCK).tolist()
        return (self._values.pop() >> 11) * stop >> 53

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 draws."""
        return self.below(100) < percent

    def choice(self, items: Sequence[Item]) -> Item:
        """One of `items`, all equally likely."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[Item], size: int) -> list[Item]:
        """`size` different positions of `items`, in random order."""
        pool = list(items)
        for index in range(size):
            other = index + self.below(len(pool) - index)
            pool[index], pool[other] = pool[other], pool[index]
        return pool[:size]
