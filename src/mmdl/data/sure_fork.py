"""Loader processes that are known to have started: one that is stuck in its own fork is replaced.

A fork copies memory as it is at that moment, locks that other threads hold included, and nobody is left in the child to
open them. What torch's threads do (gloo's, autograd's) takes such locks now and then: that of Python's thread states,
which Python before 3.11.10 does not reset (cpython #112275), and that of libc's exit handlers (pytorch #130610).
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from multiprocessing import popen_fork
from multiprocessing.connection import wait
from multiprocessing.context import ForkContext, ForkProcess
from typing import Any

PATIENCE_S = 5.0
"""A process starts in some milliseconds; one that takes so long is taken for stuck."""

TRIES = 3
"""The last process is kept in any case: a machine may be that slow."""

_told: list[int] = []
"""In a new process: where it says that it has started."""

log = logging.getLogger("mmdl")


def sure_fork() -> ForkContext | None:
    """The context for a loader, where processes are forked; None where they are started otherwise."""
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    return _Context() if method == "fork" else None


def has_started() -> None:
    """In a loader process, once it is through what may wait for a lock of the parent's."""
    for end in _told:
        os.write(end, b"!")
        os.close(end)
    _told.clear()


class _Popen(popen_fork.Popen):
    """A forked process that is waited for until it has started, and otherwise ended and forked again."""

    pid: int
    finalizer: Any

    def _launch(self, process_obj: Any) -> None:
        for left in reversed(range(TRIES)):
            heard, told = os.pipe()
            _told.append(told)
            try:
                try:
                    super()._launch(process_obj)  # type: ignore[misc]
                finally:
                    _told.clear()
                    os.close(told)
                # Its end closes the pipe too: whoever waits for batches finds out.
                if wait([heard], PATIENCE_S) or not left:
                    return
            finally:
                os.close(heard)
            log.warning("a loader process was stuck in its fork, and another is started (cpython #112275)")
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.finalizer()


class _Process(ForkProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - the name that multiprocessing calls
        return _Popen(process_obj)


class _Context(ForkContext):
    Process = _Process
