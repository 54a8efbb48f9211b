"""Reads the headers of a tar shard: which samples it holds and where their bytes lie. Nothing is ever unpacked."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from mmdl.data.bad_images import BadSamples

IntArray = npt.NDArray[np.int64]

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")
"""Members that are images, in the order of preference."""

LOST = "lost with its shard"
"""Reason of samples that a shard should hold and that can't be read."""

SHARD_REASONS = frozenset(
    {
        "missing shard",
        "unreadable shard",
        "compressed shard",
        "empty shard",
        "corrupt shard",
        "shard ends early",
    }
)
"""Reasons that are counted in shards; all others are counted in samples."""

_BLOCK = tarfile.BLOCKSIZE
_PACKED = {b"\x1f\x8b": "gunzip", b"BZ": "bunzip2", b"\xfd7": "unxz", b"\x28\xb5": "unzstd"}


class Member(NamedTuple):
    """A file inside a shard.

    Attributes:
        name: Its name.
        offset: Its first byte in the shard.
        size: Bytes; -1 where the shard ends before they do.
    """

    name: str
    offset: int
    size: int


@dataclass
class ShardScan:
    """The usable samples of a shard, and what is wrong with the others.

    Attributes:
        keys: `n` names of samples.
        spans: `(n, 4)` int64: offset and size of the image, offset and size of the captions.
        bad: What can't be used.
    """

    keys: list[str] = field(default_factory=list)
    spans: IntArray = field(default_factory=lambda: np.zeros((0, 4), dtype=np.int64))
    bad: list[BadSamples] = field(default_factory=list)


def sample_key(name: str) -> tuple[str, str]:
    """Key and extension of a member: the name is cut at the first dot of its last part, as webdataset cuts it.

    >>> sample_key("a.b/0001.seg.png"), sample_key("./0001.JPG")
    (('a.b/0001', 'seg.png'), ('0001', 'jpg'))
    """
    folder, slash, file = name.removeprefix("./").rpartition("/")
    stem, _, extension = file.partition(".")
    return folder + slash + stem, extension.lower()


def scan_shard(path: Path, name: str, caption_file: str = "txt") -> ShardScan:
    """Walk the headers of a shard.

    A shard whose first header is no tar header gives no sample; one with a damaged header in the middle, or that ends
    early, gives the complete samples before that. Samples after damage are lost: nothing says where they begin.

    Args:
        path: The shard.
        name: Its name in messages and ids.
        caption_file: Extension of the members that hold captions.
    """
    scan = ShardScan()
    try:
        with path.open("rb") as file:
            members, problem = _members(file, name)
    except FileNotFoundError:
        scan.bad.append(BadSamples("missing shard", f"shard not found: {path}"))
        return scan
    except OSError as error:
        scan.bad.append(BadSamples("unreadable shard", f"can't read shard {path}: {error.strerror}"))
        return scan
    spans = []
    for key, files in _grouped(members):
        found = _sample(files, caption_file)
        if isinstance(found, str):
            # what is missing of the last sample lay behind the damage
            cut = problem is not None and files[-1] is members[-1] and found.startswith("no ")
            reason = LOST if cut else found
            scan.bad.append(BadSamples(reason, f"{name}/{key}: {reason}"))
            continue
        scan.keys.append(key)
        spans.append(found)
    scan.spans = np.array(spans, dtype=np.int64).reshape(-1, 4)
    if problem is not None:
        scan.bad.append(problem)
    elif not members:
        scan.bad.append(BadSamples("empty shard", f"shard {path} holds no file"))
    return scan


def _members(file: BinaryIO, name: str) -> tuple[list[Member], BadSamples | None]:
    """The complete files of a shard, and what ended the walk early."""
    size = os.fstat(file.fileno()).st_size
    head = file.read(2)
    file.seek(0)
    if size == 0:
        return [], BadSamples("shard ends early", f"shard {name} is empty: 0 bytes")
    for magic, command in _PACKED.items():
        if head == magic:
            message = f"shard {name} is compressed, and samples are read by their offset: {command} it first"
            return [], BadSamples("compressed shard", message)
    found: list[Member] = []
    end = 0
    try:
        with tarfile.open(fileobj=file, mode="r:", errorlevel=0) as tar:
            while (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined] # else every header stays in memory
                end = info.offset_data
                if info.isreg() and not info.issparse():
                    end += -(-info.size // _BLOCK) * _BLOCK
                    if info.offset_data + info.size > size:
                        found.append(Member(info.name, info.offset_data, -1))
                        break
                    found.append(Member(info.name, info.offset_data, info.size))
    except tarfile.ReadError as error:
        if not found and end == 0:
            return [], BadSamples("corrupt shard", f"shard {name} is no tar file: {error}")
    return found, _ended(file, name, end, size, sum(member.size >= 0 for member in found))


def _ended(file: BinaryIO, name: str, end: int, size: int, count: int) -> BadSamples | None:
    """Why the walk ended where it did; None at the end mark of a tar file."""
    after = f"after {count:,} complete files"
    if end >= size:
        return BadSamples("shard ends early", f"shard {name} ends early, {after} ({size:,} bytes)")
    file.seek(end)
    block = file.read(_BLOCK)
    if len(block) < _BLOCK:
        return BadSamples("shard ends early", f"shard {name} ends early, {after} ({size:,} bytes)")
    if block.count(0) == _BLOCK:
        return None
    return BadSamples("corrupt shard", f"shard {name} has a damaged header at byte {end:,}, {after}")


def _grouped(members: list[Member]) -> Iterator[tuple[str, list[Member]]]:
    """Neighbouring files of one key; a file whose extension is there already begins a new sample."""
    key, files, seen = "", list[Member](), set[str]()
    for member in members:
        own, extension = sample_key(member.name)
        if not own or not extension or own.rpartition("/")[2] == "":
            continue
        if own != key or extension in seen:
            if files:
                yield key, files
            key, files, seen = own, [], set()
        files.append(member)
        seen.add(extension)
    if files:
        yield key, files


def _sample(files: list[Member], caption_file: str) -> tuple[int, int, int, int] | str:
    """Offsets and sizes of image and captions, or what is missing."""
    by_extension = {sample_key(file.name)[1]: file for file in files}
    if files[-1].size < 0:
        return LOST
    image = next((by_extension[kind] for kind in IMAGE_EXTENSIONS if kind in by_extension), None)
    captions = by_extension.get(caption_file)
    if image is None:
        return "no image"
    if captions is None:
        return "no caption"
    if captions.size == 0:
        return "empty caption"
    if image.size == 0:
        return "empty image file"
    return image.offset, image.size, captions.offset, captions.size
