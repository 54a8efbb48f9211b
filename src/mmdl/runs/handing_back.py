"""What is left to do when a signal has stopped a run: tell the tracker and the scheduler, and say how to go on."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from typing import Any

from mmdl.errors import Preempted
from mmdl.runs.folder import RunFolder, rank
from mmdl.runs.requeue import requeue, slurm_job, wait_for_the_end
from mmdl.runs.tracker_end import tracker_may_end

log = logging.getLogger("mmdl")

TRACKER_S = 15.0
"""How long to wait for W&B to send what it has."""

RANKS_S = 60.0
"""How long to wait for a rank that has been asked to stop too."""

OUTPUT_S = 1.0
"""How long before the request for another start the last line is printed: Slurm then drops what is on its way."""

KILLED = 255
"""The exit code that W&B shows as "killed"."""


_endings: list[threading.Thread] = []


def status_of(error: BaseException) -> str:
    """The status of a run that an exception has ended.

    >>> status_of(KeyboardInterrupt()), status_of(Preempted(signal.SIGTERM)), status_of(ValueError())
    ('stopped', 'preempted', 'failed')
    """
    if isinstance(error, Preempted) and error.cause != signal.SIGINT:
        return "preempted"
    error = interruption(error)
    return "stopped" if isinstance(error, KeyboardInterrupt | Preempted) else "failed"


def interruption(error: BaseException) -> BaseException:
    """The Ctrl-C that Lightning has turned into an exit with code 1, or the error itself."""
    was = error.__context__
    return was if isinstance(error, SystemExit) and isinstance(was, KeyboardInterrupt) else error


def mark_preempting(loggers: list[Any], stop: Preempted) -> None:
    """Tell W&B that the run was preempted, and end it here; it is continued under the same id.

    Args:
        loggers: The run's loggers; others than W&B's are passed over.
        stop: Why; after Ctrl-C the run is ended as one that was killed, as W&B does it itself.
    """
    from lightning.pytorch.loggers import WandbLogger

    for logger in loggers:
        if isinstance(logger, WandbLogger) and rank() == 0 and not getattr(logger, "lost", False):
            # Beside the rest: the scheduler's grace is short, and a tracker may be slow.
            _endings.append(threading.Thread(target=_end, args=(logger, stop), daemon=True))
            _endings[-1].start()


def _end(logger: Any, stop: Preempted) -> None:
    with tracker_may_end(logger):  # TERM to all processes has reached its service too
        if stop.cause == signal.SIGINT:
            logger.experiment.finish(exit_code=KILLED)
            return
        logger.experiment.mark_preempting()
        logger.experiment.finish(exit_code=1)


def wait_for_ranks(trainer: Any) -> None:
    """Wait for the ranks that Lightning has started from this process, which leave at the same step: none stays behind.

    Args:
        trainer: The Trainer, or None where there is none yet.
    """
    launcher = getattr(getattr(trainer, "strategy", None), "launcher", None)
    for process in getattr(launcher, "procs", ()):
        try:
            process.wait(RANKS_S)
        except subprocess.TimeoutExpired:
            process.kill()  # what it had to save is saved


def hand_back(run: RunFolder | None, stop: Preempted) -> None:
    """Have Slurm start the job again and wait for the end; elsewhere say how to continue.

    Args:
        run: None where the signal came before the run had a folder.
        stop: Why it was stopped; its advice is filled in.
    """
    job = slurm_job() if stop.cause != signal.SIGINT else None
    if rank() == 0:
        saved = "before the first step" if stop.step is None else f"saved at step {stop.step}"
        log.info("%-12s by %s, %s", status_of(stop), stop.cause.name, saved)
        if job is not None:
            time.sleep(OUTPUT_S)
        requeued = job is not None and requeue(job, stop.cause)
        while _endings:
            _endings.pop().join(TRACKER_S)
        if requeued:
            wait_for_the_end()
        if run is None or not run.exists:
            stop.advice = f"stopped by {stop.cause.name} before anything was done; run the command again"
        else:
            root = "" if str(run.root) == "runs" else f" run.root={run.root}"
            stop.advice = (
                f"stopped by {stop.cause.name}; to continue: python -m mmdl train resume={run.id}{root}"
            )
    elif job is not None:
        wait_for_the_end()
