"""The end of a process that talked to others."""

from __future__ import annotations

import atexit
import gc

import torch.distributed as dist

from mmdl.runs.stop_signals import kill_deaf_children


def leave_at_exit() -> None:
    """Let this process leave its group before the interpreter is taken down.

    Where DDP's reducer, garbage by then, is the last to hold a gloo group, the group's threads are joined by a garbage
    collection that holds the interpreter's lock, which one of them may be waiting for: a finished run would not end.
    """
    atexit.unregister(_leave)
    atexit.register(_leave)


def _leave() -> None:
    if dist.is_available() and dist.is_initialized() and dist.get_backend() == "gloo":
        # A loader of a run that was stopped would wait for its processes, which hear nothing: 5 seconds for each.
        kill_deaf_children()
        gc.collect()  # the reducers first
        dist.destroy_process_group()
