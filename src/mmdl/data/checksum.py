"""What a file must be, whether it is that, and a note beside it so that it is hashed once only."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdl.errors import UserError
from mmdl.progress_bar import ProgressBar

BLOCK = 1 << 20
"""Bytes that are read at once."""


@dataclass(frozen=True)
class Expected:
    """What a file must be.

    Attributes:
        sha256: SHA-256 in hexadecimal, or None.
        md5: MD5 in hexadecimal, or None; used where no SHA-256 is published.
        size: Bytes, or None.

    >>> Expected(size=3).mismatch(4, "")
    '4 bytes, expected 3'
    """

    sha256: str | None = None
    md5: str | None = None
    size: int | None = None

    def hasher(self) -> Any:
        """A new hash object of the kind that is expected; SHA-256 if none is."""
        return hashlib.md5() if self.md5 and not self.sha256 else hashlib.sha256()

    @property
    def checksum(self) -> str | None:
        """The checksum that is compared, in lower case."""
        given = self.sha256 or self.md5
        return given.lower() if given else None

    def mismatch(self, size: int, digest: str) -> str:
        """What differs, or an empty string.

        Args:
            size: Bytes found.
            digest: What `hasher` found, in hexadecimal.
        """
        if self.size is not None and size != self.size:
            return f"{size:,} bytes, expected {self.size:,}"
        if self.checksum and digest != self.checksum:
            return f"{'sha256' if self.sha256 else 'md5'} {digest}, expected {self.checksum}"
        return ""


def is_verified(path: Path, expected: Expected, progress: bool = True) -> bool:
    """Whether a file is there and is the expected one.

    Args:
        path: The file; `<path>.ok` beside it remembers the size and time at which it was found right.
        expected: What it must be.
        progress: Show a bar while it is hashed.

    Raises:
        UserError: It is there and is another one.
    """
    if not path.exists():
        return False
    with contextlib.suppress(OSError, ValueError):
        if json.loads(_marker(path).read_text()) == _facts(path, expected):
            return True
    hasher = expected.hasher()
    size = path.stat().st_size
    if expected.checksum:
        with path.open("rb") as file, byte_bar(f"checking {path.name}", size, 0, progress) as bar:
            while block := file.read(BLOCK):
                hasher.update(block)
                bar.update(len(block))
    problem = expected.mismatch(size, hasher.hexdigest())
    if problem:
        raise UserError(f"{path} is not the expected file: {problem}", fix=f"rm {path}")
    mark_verified(path, expected)
    return True


def mark_verified(path: Path, expected: Expected) -> None:
    """Remember that a file is the expected one; nothing where the folder can't be written."""
    with contextlib.suppress(OSError):
        _marker(path).write_text(json.dumps(_facts(path, expected)))


def forget(path: Path) -> None:
    """Remove a file together with its note."""
    for place in (path, _marker(path)):
        place.unlink(missing_ok=True)


def _marker(path: Path) -> Path:
    return path.with_name(path.name + ".ok")


def _facts(path: Path, expected: Expected) -> dict[str, Any]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "checksum": expected.checksum}


@contextlib.contextmanager
def byte_bar(name: str, total: int | None, initial: int, progress: bool) -> Iterator[ProgressBar]:
    """A bar of bytes with rate and remaining time, once something takes longer than a second."""
    with ProgressBar(
        total=total,
        initial=initial,
        desc=name,
        unit="B",
        unit_scale=True,
        delay=1,
        disable=not progress,
    ) as bar:
        yield bar
