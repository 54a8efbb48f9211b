"""Ranks that Lightning launches: they end with rank 0, and rank 0 says which of them has ended before it ends too."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from mmdl.runs.ending import end_with_parent

PATIENCE_S = 8.0
"""How long rank 0 may take to say by itself what is wrong."""

log = logging.getLogger("mmdl")


def is_launched() -> bool:
    """Whether Lightning has started this process as a further rank."""
    others = ("RANK", "TORCHELASTIC_RUN_ID", "SLURM_PROCID")
    return os.environ.get("LOCAL_RANK", "0") != "0" and not any(name in os.environ for name in others)


def end_with_rank_0() -> None:
    """Have a launched rank end when rank 0 is killed, in whatever collective it waits for it."""
    if is_launched():
        end_with_parent()


def report_dead_ranks(ended: Callable[[str], Any]) -> None:
    """Have Lightning's observer of the ranks that it launched say what it does.

    It kills rank 0, without a word, five seconds after another rank has ended with an error.

    Args:
        ended: Told the message, before the end.
    """
    from lightning.fabric.strategies.launchers.subprocess_script import _ChildProcessObserver

    assert callable(_ChildProcessObserver._terminate_all)
    plain = getattr(_ChildProcessObserver._terminate_all, "plain", _ChildProcessObserver._terminate_all)

    def terminate_all(self: Any) -> None:
        codes = [process.returncode for process in self._child_processes]
        time.sleep(PATIENCE_S)  # this thread ends with the process
        dead = ", ".join(f"rank {n} ({how(code)})" for n, code in enumerate(codes, start=1) if code)
        text = f"{dead} has ended; the run is stopped"
        log.error("error: %s", text)
        ended(text)
        plain(self)

    terminate_all.plain = plain  # type: ignore[attr-defined]
    _ChildProcessObserver._terminate_all = terminate_all  # type: ignore[method-assign]


def how(code: int) -> str:
    """An exit code in words.

    >>> how(-9), how(2)
    ('killed by signal 9', 'exit code 2')
    """
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
