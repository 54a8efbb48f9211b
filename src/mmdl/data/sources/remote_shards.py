"""Tar shards behind an HTTP server: fetched when they are reached, kept in a folder of bounded size."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import queue
import threading
import urllib.error
import urllib.parse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock

from mmdl.data.bad_images import BadSamples
from mmdl.data.download import download
from mmdl.data.paths import data_home
from mmdl.data.readers.tar_shard import IntArray
from mmdl.data.shard_names import short_names
from mmdl.data.sources.local_shards import checked_sizes
from mmdl.data.sources.shard_table import OpenShard, OpenShards, ShardTable, shard_table
from mmdl.errors import UserError

_FETCHES = 4  # shards that one process fetches at a time


class RemoteShards:
    """Shards that have addresses.

    How many samples each holds must be known before the first is fetched, since the order of an epoch and its length
    depend on it: a `sizes.json` beside the shards says so (file name -> samples, as open_clip and webdataset have it),
    or this computer has read them all before.

    Args:
        addresses: `http://` or `https://`.
        caption_file: Extension of the files that hold captions.
        key: Config key, for messages.
        cache_bytes: What the fetched shards may take of the disk; those that were not used for the longest time go.

    Raises:
        UserError: The numbers of samples are not known.
    """

    remote = True

    def __init__(self, addresses: Sequence[str], caption_file: str, key: str, cache_bytes: int) -> None:
        self.addresses = list(addresses)
        self.names = short_names(addresses)
        self.caption_file = caption_file
        self.cache_bytes = cache_bytes
        self.folder = data_home() / "cache" / "remote_shards"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._open = OpenShards()
        self._needed: frozenset[int] = frozenset()
        self._absent: set[int] = set()
        self._counts = self._sizes(key)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_open": OpenShards()}

    @property
    def counts(self) -> IntArray:
        """`(S,)` int64 samples of each."""
        return self._counts

    @property
    def bad(self) -> list[BadSamples]:
        """Nothing is known of shards that have not been fetched."""
        return []

    def open(self, shard: int) -> OpenShard:
        """A shard to read from, fetched if need be.

        Raises:
            FileNotFoundError: The server has no such shard.
            UserError: The server can't be reached, or the disk is full.
        """
        opened = self._open.get(shard)
        if shard in self._absent:
            raise FileNotFoundError(errno.ENOENT, "not on the server", self.addresses[shard])
        if opened is None:
            path = self._fetched(shard)
            opened = OpenShard(path, self._table(shard, path))
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)  # what was used last goes last
        return self._open.used(shard, opened)

    def keys(self, shard: int) -> list[str]:
        """The names of a shard's samples.

        Raises:
            IndexError: It has not been fetched, and names are not worth it.
        """
        path = self._path(shard)
        if not path.exists():
            raise IndexError(f"{self.names[shard]} has not been fetched")
        return self._table(shard, path).keys()

    def digest(self, shard: int) -> str:
        """The number of samples: it is all that is known before a shard is fetched."""
        return str(self._counts[shard])

    def expect(self, shards: Iterable[int]) -> None:
        """Fetch, in the background, shards that will be needed soon; these are not removed meanwhile."""
        self._needed = frozenset(shards)
        absent: queue.SimpleQueue[int] = queue.SimpleQueue()
        for shard in self._needed:
            if not self._path(shard).exists():
                absent.put(shard)
        for _ in range(min(_FETCHES, absent.qsize())):
            # no pool: the end of the program would wait for one
            threading.Thread(target=self._fetch_all, args=(absent,), daemon=True).start()

    def _fetch_all(self, absent: queue.SimpleQueue[int]) -> None:
        # whoever reads a shard meets the error, and reports it
        with contextlib.suppress(queue.Empty, UserError, OSError):
            while True:
                self._fetched(absent.get_nowait())

    # -- the folder -------------------------------------------------------------------------------------------------

    def _path(self, shard: int) -> Path:
        mark = hashlib.sha256(self.addresses[shard].encode()).hexdigest()[:16]
        return self.folder / f"{mark}-{self.names[shard].removesuffix('.tar')}.tar"

    def _fetched(self, shard: int) -> Path:
        """The shard on this computer; several processes may ask for it at once."""
        path = self._path(shard)
        with FileLock(f"{path}.lock"):
            if not path.exists():
                part = self._make_room(path)
                try:
                    _download(self.addresses[shard], path)
                except FileNotFoundError:
                    self._absent.add(shard)
                    part.unlink(missing_ok=True)
                    raise
        return path

    def _make_room(self, coming: Path) -> Path:
        """Remove the shards that were not used for the longest time, until one more fits in.

        One of the same size as the largest is expected; so is each that is being fetched, which has a `.part` file. A
        process that reads a removed shard keeps its content.
        """
        needed = {self._path(shard) for shard in self._needed} | {coming}
        with FileLock(self.folder / "room.lock"):
            files = []
            for path in self.folder.glob("*.tar"):
                with contextlib.suppress(FileNotFoundError):
                    facts = path.stat()
                    files.append((facts.st_mtime, facts.st_size, path))
            part = Path(f"{coming}.part")
            coming_too = {*self.folder.glob("*.tar.part"), part}
            largest = max((size for _, size, _ in files), default=0)
            total = sum(size for _, size, _ in files) + largest * len(coming_too)
            for _, size, path in sorted(files):
                if total <= self.cache_bytes:
                    break
                if path not in needed:
                    path.unlink(missing_ok=True)
                    Path(f"{path}.ok").unlink(missing_ok=True)
                    total -= size
            part.touch()
        return part

    def _table(self, shard: int, path: Path) -> ShardTable:
        table = shard_table(path, self.names[shard], self.caption_file, self._identity(shard))
        note = self._count_file(shard)
        if not note.exists():
            note.write_text(str(table.count))
        return table

    def _identity(self, shard: int) -> list[object]:
        """An address stands for its content, which is what a shard that was removed and fetched again has too."""
        return [self.addresses[shard]]

    # -- numbers of samples -----------------------------------------------------------------------------------------

    def _count_file(self, shard: int) -> Path:
        mark = hashlib.sha256(f"{self.addresses[shard]}:{self.caption_file}".encode()).hexdigest()[:32]
        return self.folder / f"{mark}.count"

    def _sizes(self, key: str) -> IntArray:
        """`(S,)` int64 samples of each shard, from the `sizes.json` beside it, or because it has been read before."""
        listed: dict[str, dict[str, int]] = {}
        counts = []
        for shard, address in enumerate(self.addresses):
            beside = urllib.parse.urljoin(address, "sizes.json")
            if beside not in listed:
                listed[beside] = self._listed(beside)
            name = Path(urllib.parse.urlsplit(address).path).name
            count = listed[beside].get(name)
            if count is None:
                note = self._count_file(shard)
                count = int(note.read_text()) if note.exists() else None
            if count is None:
                raise UserError(
                    f"{key}: it is not known how many samples {address} holds, and the order of an epoch depends on it",
                    valid=f'{beside} with {{"{name}": NUMBER OF SAMPLES, ...}}',
                    fix="put a sizes.json beside the shards, or copy the shards to a disk: there they are counted",
                )
            counts.append(count)
        return np.array(counts, dtype=np.int64)

    def _listed(self, address: str) -> dict[str, int]:
        """A `sizes.json`, fetched anew where the server can be reached; empty where there is none."""
        path = self.folder / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}-sizes.json"
        with FileLock(f"{path}.lock"):
            fresh = path.with_name(path.name + ".new")
            fresh.unlink(missing_ok=True)
            try:
                _download(address, fresh)
                fresh.replace(path)
            except FileNotFoundError:
                path.unlink(missing_ok=True)
            except UserError:
                if not path.exists():
                    raise
            Path(f"{fresh}.ok").unlink(missing_ok=True)
            if not path.exists():
                return {}
            try:
                return checked_sizes(json.loads(path.read_text(encoding="utf-8")))
            except ValueError as error:
                raise UserError(
                    f"{address} can't be used: {error}", valid='{"000.tar": 1000, "001.tar": 998}'
                ) from None


def _download(address: str, path: Path) -> None:
    """Fetch a file.

    Raises:
        FileNotFoundError: The server has no such file.
        UserError: It can't be had for another reason.
    """
    try:
        download(address, path, progress=False)
    except UserError as error:
        if "HTTP 404" in error.given or "HTTP 410" in error.given:
            raise FileNotFoundError(errno.ENOENT, "not on the server", address) from None
        raise
