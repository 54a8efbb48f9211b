"""Stacks of loader processes, at the request of the training process."""

from __future__ import annotations

import faulthandler
import os
import signal
import tempfile
import time
import weakref
from typing import IO, Any

ASK = signal.SIGQUIT
"""The signal that asks: the others are taken, by a scheduler or by mmdl."""

_file: list[IO[bytes]] = []
_processes: weakref.WeakSet[Any] = weakref.WeakSet()


def prepare() -> None:
    """Open the file that loader processes inherit; call before they are started."""
    if not _file:
        _file.append(tempfile.TemporaryFile())  # noqa: SIM115 - it lives as long as the process


def answer() -> None:
    """In a loader process: write the stacks when asked, whatever the process waits for."""
    if _file:
        faulthandler.register(ASK, file=_file[0], all_threads=True)


def started(processes: list[Any]) -> None:
    """Remember loader processes, which are forgotten with the loader."""
    _processes.update(processes)


def stacks(patience: float = 0.5) -> dict[int, str]:
    """Process id -> stacks of each loader process that lives.

    Args:
        patience: Seconds to wait for each.
    """
    found = {}
    for process in list(_processes):
        if _file and process.exitcode is None and process.pid:
            place = os.fstat(_file[0].fileno()).st_size
            os.kill(process.pid, ASK)
            found[process.pid] = _read(place, patience)
    return found


def _read(place: int, patience: float) -> str:
    end, size = time.monotonic() + patience, place
    while time.monotonic() < end:
        time.sleep(0.02)
        grown = os.fstat(_file[0].fileno()).st_size
        if grown == size > place:
            break
        size = grown
    return os.pread(_file[0].fileno(), size - place, place).decode(errors="replace")
