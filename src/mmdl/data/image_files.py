"""Image files of a split: where each row's bytes are, without a Python object for every row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mmdl.data.cache import file_stat
from mmdl.data.columns import Column
from mmdl.data.transforms.image import Source

IntArray = npt.NDArray[np.int64]


class ImageFiles(Protocol):
    """`N` encoded images, on disk or inside other files."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> Source:
        """A path or a binary file, for `load_image`."""

    def select(self, rows: IntArray) -> ImageFiles:
        """Only these rows, in this order."""

    def identity(self) -> list[Any]:
        """What the pixels depend on, as plain values, for the cache of decoded pixels."""

    def digest(self) -> str:
        """SHA-256 of what tells one content from another, for the fingerprint of the data."""


class PathFiles:
    """Files below one folder; a million names take their bytes and little more.

    Args:
        root: The folder.
        names: `N` paths relative to it, with `/` between the parts.

    >>> files = PathFiles("/data", ["cat/1.jpg", "dog/1.jpg"])
    >>> files[1], files.select(np.array([1]))[0]
    ('/data/dog/1.jpg', '/data/dog/1.jpg')
    """

    def __init__(self, root: str, names: Sequence[str] | pa.Array) -> None:
        self.root = root
        self._names = names if isinstance(names, pa.Array) else pa.array(list(names), type=pa.string())

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: int, /) -> str:
        return f"{self.root}/{self._names[row].as_py()}"

    @property
    def names(self) -> Column[str]:
        """The relative paths."""
        return Column(pa.chunked_array([self._names]))

    def select(self, rows: IntArray) -> PathFiles:
        """Only these rows, in this order."""
        return PathFiles(self.root, self._names.take(pa.array(rows, type=pa.int64())))

    def identity(self) -> list[Any]:
        """Path, size and time of change of each."""
        return [file_stat(f"{self.root}/{name}") for name in self.names]

    def sizes(self) -> IntArray:
        """`(N,)` bytes of each; -1 where the file is gone."""
        return np.array([size for _, size, _ in self.identity()], dtype=np.int64)

    def digest(self) -> str:
        """SHA-256 of the names and sizes."""
        digest = hashlib.sha256("\0".join(self.names).encode())
        digest.update(self.sizes().tobytes())
        return digest.hexdigest()


class ListedFiles:
    """Files anywhere.

    Args:
        paths: `N` paths.

    >>> ListedFiles(["a/1.jpg", "b/1.jpg"]).select(np.array([1]))[0]
    'b/1.jpg'
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int, /) -> str:
        return self.paths[row]

    def select(self, rows: IntArray) -> ListedFiles:
        """Only these rows, in this order."""
        return ListedFiles([self.paths[row] for row in rows.tolist()])

    def identity(self) -> list[Any]:
        """Path, size and time of change of each."""
        return [file_stat(path) for path in self.paths]

    def sizes(self) -> IntArray:
        """`(N,)` bytes of each; -1 where the file is gone."""
        return np.array([size for _, size, _ in self.identity()], dtype=np.int64)

    def digest(self) -> str:
        """SHA-256 of the paths and sizes."""
        digest = hashlib.sha256("\0".join(self.paths).encode())
        digest.update(self.sizes().tobytes())
        return digest.hexdigest()


class JoinedFiles:
    """The files of one split and then those of another.

    Args:
        first: Files.
        second: Those that follow.
        rows: `(N,)` int64, which rows of both; None: all.
    """

    def __init__(self, first: ImageFiles, second: ImageFiles, rows: IntArray | None = None) -> None:
        self.first = first
        self.second = second
        self.rows = np.arange(len(first) + len(second), dtype=np.int64) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int, /) -> Source:
        place = int(self.rows[row])
        return self.first[place] if place < len(self.first) else self.second[place - len(self.first)]

    def select(self, rows: IntArray) -> JoinedFiles:
        """Only these rows, in this order."""
        return JoinedFiles(self.first, self.second, self.rows[rows])

    def identity(self) -> list[Any]:
        """What the pixels depend on, as plain values."""
        both = [*self.first.identity(), *self.second.identity()]
        return [both[row] for row in self.rows.tolist()]

    def digest(self) -> str:
        """SHA-256 of both."""
        parts = [self.first.digest(), self.second.digest(), hashlib.sha256(self.rows.tobytes()).hexdigest()]
        return hashlib.sha256("".join(parts).encode()).hexdigest()
