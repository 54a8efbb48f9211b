"""Image files that are equal byte for byte: within a split, and in more than one split."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from mmdl.data.image_files import IntArray

MOST_FILES = 200_000
"""From so many files on nothing is compared: it would take minutes on a network disk."""

_TAIL = 4096  # bytes that tell nearly all files of one size apart

Place = tuple[str, str]
"""Split and path of a file."""


class SizedFiles(Protocol):
    """Files on disk: `PathFiles` and `ListedFiles`."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> str:
        """A path."""

    def sizes(self) -> IntArray:
        """`(N,)` bytes of each; -1 where the file is gone."""


def shared_files(splits: Mapping[str, SizedFiles]) -> int:
    """How many files have a copy in another split: found by size, then by their end, then by all bytes.

    Args:
        splits: Split -> its files; more than `MOST_FILES` in all are not compared.

    Returns:
        Number of distinct contents that lie in two splits or more; files that can't be read count for none.
    """
    if len(splits) < 2 or sum(map(len, splits.values())) > MOST_FILES:
        return 0
    by_size: defaultdict[object, list[Place]] = defaultdict(list)
    for split, files in splits.items():
        for row, size in enumerate(files.sizes().tolist()):
            if size > 0:
                by_size[size].append((split, files[row]))
    groups = _across(by_size.values())
    for key in (_end, _whole):
        groups = [part for group in groups for part in _across(_grouped(group, key))]
    return len(groups)


def equal_files(files: SizedFiles) -> IntArray:
    """Which files are copies of others: found by size, then by their end, then by all bytes.

    Args:
        files: `N` of them; more than `MOST_FILES` are not compared.

    Returns:
        `(N,)` int64: the first row whose bytes are those of this one; its own where there is none before.
    """
    first = np.arange(len(files), dtype=np.int64)
    if len(files) > MOST_FILES:
        return first
    sizes = files.sizes()
    order = np.argsort(sizes, kind="stable")
    cuts = np.flatnonzero(np.diff(sizes[order])) + 1
    groups = [
        [(str(row), files[row]) for row in rows.tolist()] for rows in np.split(order, cuts) if len(rows) > 1
    ]
    groups = [group for group in groups if sizes[int(group[0][0])] > 0]
    for key in (_end, _whole):
        groups = [part for group in groups for part in _grouped(group, key) if len(part) > 1]
    for group in groups:
        rows = np.array(sorted(int(row) for row, _ in group), dtype=np.int64)
        first[rows] = rows[0]
    return first


def _across(groups: Iterable[list[Place]]) -> list[list[Place]]:
    """Those groups whose files lie in more than one split."""
    return [group for group in groups if len({split for split, _ in group}) > 1]


def _grouped(group: list[Place], key: Callable[[str], object]) -> list[list[Place]]:
    found: defaultdict[object, list[Place]] = defaultdict(list)
    for split, path in group:
        try:
            found[key(path)].append((split, path))
        except OSError:
            continue
    return list(found.values())


def _end(path: str) -> bytes:
    """The last bytes: the first ones are alike in files of one camera or program."""
    with Path(path).open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _TAIL))
        return file.read(_TAIL)


def _whole(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
