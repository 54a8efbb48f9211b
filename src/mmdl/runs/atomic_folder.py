"""Writing a folder so that a reader sees all of it or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmdl.errors import UserError
from mmdl.runs.files import TEMPORARY, sync_folder


@contextmanager
def atomic_folder(target: Path, is_ours: Callable[[Path], bool], fix: str = "") -> Iterator[Path]:
    """A new folder beside `target` to write into; it takes the target's place when the block ends without an error.

    Args:
        target: Where the folder is to be; absent, empty, or one that may be replaced.
        is_ours: Whether a folder that is not empty may be replaced.
        fix: What to do where it may not.

    Raises:
        UserError: `target` is a file, or a folder with something else in it, or can't be written.
    """
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file", valid="a folder that is new or empty", fix=fix)
    if target.is_dir() and any(target.iterdir()) and not is_ours(target):
        raise UserError(
            f"{target} holds other files, which stay as they are",
            valid="a folder that is new or empty",
            fix=fix,
        )
    temporary = target.with_name(f"{TEMPORARY}{os.getpid()}-{target.name}")
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{temporary.parent} can't be written: {error.strerror}", fix=fix) from error
    try:
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():
                with path.open("rb") as handle:
                    os.fsync(handle.fileno())
        sync_folder(temporary)
        _replace(target, temporary)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace(target: Path, new: Path) -> None:
    """Put a folder in the place of another; the old one is back if that fails."""
    if not target.exists():
        new.rename(target)
        return
    old = target.with_name(f"{new.name}-old")
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
