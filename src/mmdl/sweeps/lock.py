"""One process a sweep."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmdl.errors import UserError
from mmdl.sweeps.record import LOCK_FILE


@contextmanager
def alone(folder: Path, *, writes: bool) -> Iterator[None]:
    """Hold the lock of a sweep.

    Args:
        folder: Of the sweep.
        writes: False for a dry run, which needs none.

    Raises:
        UserError: if another process trains it.
    """
    if not writes:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            _lock(handle)
        except BlockingIOError as error:
            pid = os.read(handle, 20).decode(errors="replace").strip()
            raise UserError(
                f"the sweep {folder.name!r} is being trained by the process {pid or '?'}",
                valid="one process a sweep, with sweep.jobs=N for several trials at a time",
                fix=f"kill -TERM {pid} to stop it" if pid else "",
            ) from error
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Take a lock; `ls sweeps` looks at it for a moment."""
    for _ in range(5):
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.1)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
