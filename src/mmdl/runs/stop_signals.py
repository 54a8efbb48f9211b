"""The signals by which a scheduler asks a training to stop: noted, and acted on where nothing is lost."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util  # its exit handler waits for deaf children: that of this module is to run first
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from mmdl.errors import Preempted
from mmdl.runs.folder import rank

STOP_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
"""USR1 and USR2 are what `sbatch --signal` sends by custom, TERM comes with preemption, Kubernetes and `kill`."""

CAUGHT = (*STOP_SIGNALS, signal.SIGINT)
"""Ctrl-C stops a training in the same way; pressed again, it stops at once."""


class StopSignals:
    """Whether this process was asked to stop.

    The handlers only set `received`: what is saved is saved at a step boundary, by all ranks together. Before the ranks
    have met there is nothing to save and nobody to agree with, so until `hold()` rank 0 stops at once.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        """The first signal that came; later ones change nothing."""
        self.leaving = False
        """Whether the run is on its way out and saves: then nothing interrupts it, Ctrl-C neither."""
        self._at_once = False
        self._catching = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and not self.leaving and (self._at_once or self.received == number):
            raise KeyboardInterrupt
        if self.received is None:
            self.received = signal.Signals(number)
            if self._at_once and rank() == 0:
                raise Preempted(self.received)
            if number == signal.SIGINT and rank() == 0:
                # No logging here: its lock may be held by what was interrupted.
                os.write(2, b"\nstopping at the next step, with a checkpoint; Ctrl-C again stops at once\n")

    def install(self) -> None:
        """Set the handlers, in place of whatever is there; nothing outside of `caught`."""
        if not self._catching:
            return
        for number in CAUGHT:
            # A program in the background of a shell script, and one that `nohup` started, ignores Ctrl-C.
            if number != signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)

    def listen(self) -> None:
        """Take what came since the program began; rank 0 may stop here."""
        if self._catching:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def hold(self) -> None:
        """From here on signals are only noted."""
        self._at_once = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the signals within; the handlers that were there before come back afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python lets the main thread only set handlers
            return
        self.received, self.leaving, self._at_once, self._catching = None, False, True, True
        before: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in CAUGHT}
        self.install()
        try:
            yield
        finally:
            self._at_once, self._catching = False, False
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


stop_signals = StopSignals()
"""Those of this process: signals belong to a process, not to an object."""


@contextmanager
def children_deaf() -> Iterator[None]:
    """Processes started within never see the stop signals, even where they are sent to the whole process group.

    A blocked signal stays blocked in a child from its first instruction on. A handler that the child sets comes too
    late for a signal in between, and a loader worker that TERM kills ends the training with an error.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@atexit.register
def kill_deaf_children() -> None:
    """A loader worker that hangs would not hear the TERM with which Python ends it, and Python would wait for it."""
    left = [child for child in multiprocessing.active_children() if child.daemon]
    if left:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch takes a worker's death for an error
    for child in left:
        child.kill()
