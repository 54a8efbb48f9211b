"""Runs `mmdl` as a task of a job that, in its first start, halts or dies at a named moment. A program of its own.

The moment is in the variable HALT_AT: `step`, `validation`, `start-up` or `test`; in HALT_FOLDER a file says that a
rank has reached it. It waits there until a signal has come, so the signal hits the moment however slow the machine is.
"""

import os
import signal
import sys
import time
from pathlib import Path

MOST_S = 150


def halted(rank):
    """Whether this start is to halt; and the moment is there once."""
    reached = Path(os.environ["HALT_FOLDER"]) / f"reached-{os.environ.get('SLURM_ARRAY_TASK_ID', '')}-{rank}"
    if reached.exists():
        return False
    reached.touch()
    return True


def halt(*arguments):
    from mmdl.errors import UserError
    from mmdl.runs.stop_signals import stop_signals

    rank = int(os.environ["SLURM_PROCID"])
    only = os.environ.get("HALT_RANK")
    task = os.environ.get("HALT_TASK", os.environ.get("SLURM_ARRAY_TASK_ID"))
    if (only and int(only) != rank) or task != os.environ.get("SLURM_ARRAY_TASK_ID") or not halted(rank):
        return
    if os.environ.get("HALT_BY_RAISING"):
        raise RuntimeError("as the test wants it")
    if os.environ.get("HALT_BY_MISTAKE"):
        raise UserError("a mistake of the user's")
    if os.environ.get("HALT_BY_DYING"):
        os.kill(os.getpid(), signal.SIGKILL)
    end = time.monotonic() + MOST_S
    while stop_signals.received is None and time.monotonic() < end:
        time.sleep(0.05)


def at_step(self, trainer, *arguments):
    if trainer.global_step == AT_STEP:
        halt()


def in_second_epoch(self, *arguments):
    if self.trainer.state.fn == "fit" and self.trainer.current_epoch == 1:
        halt()


AT_STEP = 9
"""In the second epoch of two ranks; a signal that comes before this step begins is acted on after it."""


def patch(owner, name, act):
    plain = getattr(owner, name)

    def patched(*arguments, **named):
        act(*arguments)
        return plain(*arguments, **named)

    setattr(owner, name, patched)


def apply(moment):
    from mmdl.callbacks.train_log import TrainLog
    from mmdl.commands import train
    from mmdl.tasks.base import Task

    owner, name, act = {
        "start-up": (train, "build_data", halt),
        "step": (TrainLog, "on_train_batch_start", at_step),
        "validation": (Task, "validation_step", in_second_epoch),
        "test": (Task, "test_step", halt),
    }[moment]
    patch(owner, name, act)


if __name__ == "__main__":
    from mmdl.__main__ import main

    apply(os.environ["HALT_AT"])
    sys.argv = ["mmdl", *sys.argv[3:]]  # without "-m mmdl"
    sys.exit(main())
