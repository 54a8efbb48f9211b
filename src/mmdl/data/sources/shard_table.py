"""The table of a shard's samples, kept on disk so that its headers are read once."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmdl.data.bad_images import BadSamples
from mmdl.data.cache import cache_key, cached_folder
from mmdl.data.readers.tar_shard import IntArray, scan_shard

_VERSION = 1


@dataclass(frozen=True)
class ShardTable:
    """What a shard holds.

    Attributes:
        folder: Where the table lies.
        count: Usable samples.
        bad: What can't be used.
        digest: SHA-256 of the names and sizes of the samples.
    """

    folder: Path
    count: int
    bad: list[BadSamples] = field(default_factory=list)
    digest: str = ""

    def spans(self) -> IntArray:
        """`(count, 4)` int64, memory-mapped: offset and size of the image, offset and size of the captions."""
        spans: IntArray = np.load(self.folder / "spans.npy", mmap_mode="r")
        return spans

    def keys(self) -> list[str]:
        """`count` names of samples."""
        return _keys(self.folder)


@functools.lru_cache(maxsize=32)
def _keys(folder: Path) -> list[str]:
    keys: list[str] = json.loads((folder / "keys.json").read_text(encoding="utf-8"))
    return keys


def shard_table(path: Path, name: str, caption_file: str, identity: list[Any]) -> ShardTable:
    """The table of a shard, from the cache where it was made before.

    Args:
        path: The shard.
        name: Its name in messages and ids.
        caption_file: Extension of the files that hold captions.
        identity: What the content of the shard depends on, as plain values.
    """
    key = cache_key({"v": _VERSION, "shard": identity, "name": name, "caption_file": caption_file})

    def build(folder: Path) -> dict[str, Any]:
        scan = scan_shard(path, name, caption_file)
        np.save(folder / "spans.npy", scan.spans)
        (folder / "keys.json").write_text(json.dumps(scan.keys), encoding="utf-8")
        digest = hashlib.sha256(json.dumps(scan.keys).encode())
        digest.update(np.ascontiguousarray(scan.spans[:, 1::2]).tobytes())
        bad = [[samples.reason, samples.message, samples.count] for samples in scan.bad]
        return {"count": len(scan.keys), "bad": bad, "digest": digest.hexdigest()}

    folder, facts = cached_folder("shards", key, build)
    return ShardTable(folder, facts["count"], [BadSamples(*bad) for bad in facts["bad"]], facts["digest"])


class OpenShard:
    """A shard that is being read from; several threads and forked processes may share it.

    Args:
        path: The file.
        table: Its samples.
    """

    def __init__(self, path: Path, table: ShardTable) -> None:
        self.spans = table.spans()
        self._file = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def __len__(self) -> int:
        return len(self.spans)

    def image(self, place: int) -> bytes:
        """The encoded image of a sample; shorter than it should be where the file was cut meanwhile."""
        return os.pread(self._file, int(self.spans[place, 1]), int(self.spans[place, 0]))

    def captions(self, place: int) -> bytes:
        """The file of captions of a sample, likewise."""
        return os.pread(self._file, int(self.spans[place, 3]), int(self.spans[place, 2]))


class OpenShards(OrderedDict[int, OpenShard]):
    """The shards that were read from last; a copy that goes to another process begins without any.

    Args:
        most: How many stay open.
    """

    def __init__(self, most: int = 128) -> None:
        super().__init__()
        self.most = most

    def used(self, shard: int, opened: OpenShard) -> OpenShard:
        """Note that a shard was used; closes the one that was not for the longest time."""
        self[shard] = opened
        self.move_to_end(shard)
        while len(self) > self.most:
            self.popitem(last=False)
        return opened

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenShards, (self.most,)
