"""Writing files so that a reader sees the old content or the new one, never half of it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from mmdl.errors import UserError

TEMPORARY = ".tmp-"
"""Prefix of unfinished files; whatever has it may be removed."""

_ROOM = "make room and run again with resume=latest; what was there before is as it was"
_MEND = "mend that and run again with resume=latest; what was there before is as it was"
_CAUSES = {
    errno.ENOSPC: ("the disk is full", _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EIO: ("the device reported an input/output error", _MEND),
    errno.EROFS: ("the file system is read-only", _MEND),
    errno.EACCES: ("no permission", _MEND),
    errno.EPERM: ("no permission", _MEND),
    errno.ENOENT: ("its folder was removed or moved", "put the folder back and run again with resume=latest"),
    errno.ESTALE: ("its folder was removed or moved", "put the folder back and run again with resume=latest"),
}
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP)


class WriteError(UserError):
    """A file that could not be written.

    Args:
        path: The file.
        error: What the system said.
        need: Bytes that it takes; 0 where nobody knows.
    """

    def __init__(self, path: Path, error: OSError, need: int = 0) -> None:
        self.no_room = error.errno in (errno.ENOSPC, errno.EDQUOT)
        """Whether room is what is missing."""
        cause, fix = _CAUSES.get(error.errno or 0, (error.strerror or str(error), _MEND))
        figures = ""
        free = free_bytes(path.parent)
        if self.no_room and free is not None:
            needed = f"{_megabytes(need)} are needed, " if need else ""
            figures = f" ({needed}{_megabytes(free)} are free)"
        super().__init__(f"{path} could not be written: {cause}{figures}", fix=fix)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e6:.4f} MB"


def free_bytes(folder: Path) -> int | None:
    """Bytes that this user may still write into a folder; None where the file system doesn't say.

    Args:
        folder: The folder, or one that is to be made.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        facts = os.statvfs(folder)
    except OSError:
        return None
    if not facts.f_blocks:
        return None
    # A share of the blocks may be kept for root.
    return (facts.f_bfree if os.geteuid() == 0 else facts.f_bavail) * facts.f_frsize


@contextmanager
def writing(path: Path, need: int = 0) -> Iterator[None]:
    """Turn the system's errors of a write into the user's.

    Args:
        path: What is written.
        need: Bytes that it takes; 0 where nobody knows.

    Raises:
        WriteError: in place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise WriteError(path, error, need) from error


def atomic_write(path: Path, write: Callable[[BinaryIO], None], need: int = 0) -> None:
    """Write a temporary file in the same folder, force it to disk, rename it.

    Args:
        path: The file.
        write: Writes the content to an open binary file.
        need: Bytes that it takes, if known: looked for before anything is written.

    Raises:
        WriteError: if the disk is full or can't be written; the previous file stays as it was.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    written = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = free_bytes(path.parent)
        if need and free is not None and free < need:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with temporary.open("wb") as handle:
            try:
                write(handle)
                handle.flush()
            finally:
                written = handle.tell()
            os.fsync(handle.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        _remove(temporary)
        raise WriteError(path, error, max(need, written)) from error
    except BaseException:
        _remove(temporary)
        raise


def _remove(temporary: Path) -> None:
    with suppress(OSError):  # what can't be written can't be tidied up; the next start of the run does
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, atomically."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, atomically."""

    def write(handle: BinaryIO) -> None:
        handle.write(content)

    atomic_write(path, write)


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to disk, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # some network file systems know no fsync of folders
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
