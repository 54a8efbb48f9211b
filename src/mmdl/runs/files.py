"""Writing files so that a reader sees the old content or the new one, never half of it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from mmdl.errors import UserError

TEMPORARY = ".tmp-"
"""Prefix of unfinished files; whatever has it may be removed."""


def atomic_write(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a temporary file in the same folder, force it to disk, rename it.

    Args:
        path: The file.
        write: Writes the content to an open binary file.

    Raises:
        UserError: if the disk is full or can't be written; the previous file stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        with temporary.open("wb") as handle:
            write(handle)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        size = temporary.stat().st_size if temporary.exists() else 0
        temporary.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free if path.parent.exists() else 0
        # torch's writer reports a full disk as a RuntimeError without an errno.
        no_space = getattr(error, "errno", None) == errno.ENOSPC or isinstance(error, RuntimeError)
        what = "the disk is full" if no_space else str(error)
        raise UserError(
            f"{path} could not be written: {what} ({size / 1e6:.1f} MB were written, {free / 1e6:.1f} MB are free)",
            fix="free some space and run again with resume=latest; the previous file is as it was",
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
