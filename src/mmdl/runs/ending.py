"""A process that ends with the one that started it, even where that was killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int | None = None) -> None:
    """Have Linux kill this process when its parent ends; elsewhere nothing happens.

    A rank whose first rank is gone would wait in a collective for its timeout, and a loader process that hangs for
    ever.

    Args:
        parent: The process id that the parent had; this process ends at once where it is gone already.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)
