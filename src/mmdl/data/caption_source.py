"""Where captioned images come from, for the data module."""

from __future__ import annotations

from typing import Protocol

from mmdl.data.caption_index import CaptionIndex
from mmdl.data.shard_index import ShardIndex


class CaptionSource(Protocol):
    """Where the captioned images come from."""

    def prepare(self) -> None:
        """Make or fetch the files; called on one process at a time."""

    def index(self, split: str) -> CaptionIndex | ShardIndex | None:
        """The validated index of `train`, `val` or `test`; None where the source has no such split.

        Training samples of a `ShardIndex` are read while training; evaluation needs a `CaptionIndex`.
        """
