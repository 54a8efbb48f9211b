"""Tar shards on a file system: their headers are read once, samples by their offset."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mmdl.data.bad_images import BadSamples
from mmdl.data.cache import file_stat
from mmdl.data.readers.tar_shard import LOST, SHARD_REASONS, IntArray
from mmdl.data.shard_names import short_names
from mmdl.data.sources.shard_table import OpenShard, OpenShards, ShardTable, shard_table
from mmdl.progress_bar import ProgressBar


class Shards(Protocol):
    """Tar shards, wherever they are.

    Attributes:
        names: A different name for each.
        remote: They are fetched when they are needed.
    """

    names: list[str]
    remote: bool

    @property
    def counts(self) -> IntArray:
        """`(S,)` int64 samples of each."""

    @property
    def bad(self) -> list[BadSamples]:
        """What is known not to be usable."""

    def open(self, shard: int) -> OpenShard:
        """A shard to read from."""

    def keys(self, shard: int) -> list[str]:
        """The names of a shard's samples."""

    def digest(self, shard: int) -> str:
        """What tells one content from another."""

    def expect(self, shards: Iterable[int]) -> None:
        """Shards that will be needed soon."""


class LocalShards:
    """Shards on a file system.

    Args:
        paths: The files.
        caption_file: Extension of the files that hold captions.
    """

    remote = False

    def __init__(self, paths: Sequence[str], caption_file: str) -> None:
        self.paths = [Path(path) for path in paths]
        self.names = short_names(paths)
        self.caption_file = caption_file
        self._tables: list[ShardTable] | None = None
        self._open = OpenShards()

    @property
    def tables(self) -> list[ShardTable]:
        """The table of each shard; the headers are read on first use."""
        if self._tables is None:
            # threads: the time goes into waiting for the disk, or the network behind it
            with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
                found = pool.map(self._table, range(len(self.paths)))
                bar = ProgressBar(
                    found,
                    total=len(self.paths),
                    desc="reading shard headers",
                    unit="shard",
                    delay=1,
                )
                self._tables = list(bar)
        return self._tables

    def _table(self, shard: int) -> ShardTable:
        path = self.paths[shard].absolute()
        return shard_table(path, self.names[shard], self.caption_file, list(file_stat(path)))

    @property
    def counts(self) -> IntArray:
        """`(S,)` int64 samples of each."""
        return np.array([table.count for table in self.tables], dtype=np.int64)

    @property
    def bad(self) -> list[BadSamples]:
        """What the headers say can't be used; a `sizes.json` beside the shards says how many samples were lost."""
        found = [samples for table in self.tables for samples in table.bad]
        for path, name, table in zip(self.paths, self.names, self.tables, strict=True):
            if any(samples.reason in SHARD_REASONS for samples in table.bad):
                known = sum(samples.count for samples in table.bad if samples.reason not in SHARD_REASONS)
                lost = expected_sizes(path.parent).get(path.name, 0) - table.count - known
                if lost > 0:
                    message = f"{name}: {lost:,} samples are {LOST}, says sizes.json"
                    found.append(BadSamples(LOST, message, lost))
        return found

    def open(self, shard: int) -> OpenShard:
        """A shard to read from."""
        opened = self._open.get(shard) or OpenShard(self.paths[shard], self.tables[shard])
        return self._open.used(shard, opened)

    def keys(self, shard: int) -> list[str]:
        """The names of a shard's samples."""
        return self.tables[shard].keys()

    def digest(self, shard: int) -> str:
        """SHA-256 of the names and sizes of the samples."""
        return self.tables[shard].digest

    def expect(self, shards: Iterable[int]) -> None:
        """Nothing: they are here."""


def expected_sizes(folder: Path) -> dict[str, int]:
    """Samples of each shard as `sizes.json` in its folder has them; empty without a usable one."""
    try:
        return checked_sizes(json.loads((folder / "sizes.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def checked_sizes(document: Any) -> dict[str, int]:
    """The document of a `sizes.json`: file name of a shard -> samples.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(document, dict):
        raise ValueError("no object of names and numbers")
    if not all(isinstance(size, int) and size >= 0 for size in document.values()):
        raise ValueError("a size that is no number of samples")
    return document
