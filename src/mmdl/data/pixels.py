"""The images of a split as a model sees them, and a choice of them."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from mmdl.data.cache import cache_key
from mmdl.data.sampler import IntArray


class PixelRows(Protocol):
    """Images by row."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: IntArray, /) -> Tensor:
        """`(len(rows), 3, H, W)` uint8."""


class Pixels(PixelRows, Protocol):
    """Images of a split, such as `PixelCache`."""

    @property
    def key(self) -> str:
        """Hash of what the pixels depend on."""


class ChosenPixels:
    """Some rows of other pixels.

    Args:
        pixels: All of them.
        rows: `(N,)` int64, which ones.
        key: Hash of what `pixels` depend on.
    """

    def __init__(self, pixels: PixelRows, rows: IntArray, key: str) -> None:
        self.pixels = pixels
        self.rows = rows
        self.whole_key = key

    @property
    def key(self) -> str:
        """Hash of what the pixels depend on."""
        return cache_key({"pixels": self.whole_key, "rows": self.rows.tolist()})

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: IntArray) -> Tensor:
        """`(len(rows), 3, H, W)` uint8."""
        return self.pixels[self.rows[rows]]

    def select(self, rows: IntArray) -> ChosenPixels:
        """Only these rows, in this order."""
        return ChosenPixels(self.pixels, self.rows[rows], self.whole_key)
