"""The images of samples in shards, as `PixelCache` and others take them."""

from __future__ import annotations

from typing import IO, Any

from mmdl.data.image_files import IntArray
from mmdl.data.shard_index import ShardIndex


class ShardFiles:
    """Encoded images inside shards.

    Args:
        index: The samples.
    """

    def __init__(self, index: ShardIndex) -> None:
        self.index = index

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int, /) -> IO[bytes]:
        return self.index.image(row)

    def select(self, rows: IntArray) -> ShardFiles:
        """Only these rows, in this order, which must rise."""
        return ShardFiles(self.index.select(rows))

    def identity(self) -> list[Any]:
        """What the pixels depend on, as plain values."""
        return [self.index.fingerprint]

    def digest(self) -> str:
        """SHA-256 of names and sizes."""
        return self.index.fingerprint
