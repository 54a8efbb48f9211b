"""Runs `mmdl train` and has it sent a signal at a named moment. A program of its own, started by test_preemption.py.

It imports what training needs once, then forks a process for every line of its input, which is a JSON object: `words`
of the command line, `moment` (of `_moments`, or null), `signal`, `group` (to all processes of the group, the loader's
workers too), `times`, `skip` (so many passings of the moment before), and `folder` for output and runs. The answer is a
line with the exit code.
"""

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path


def _patch(owner, name, act):
    plain = getattr(owner, name)

    def patched(*arguments, **named):
        act(*arguments)
        return plain(*arguments, **named)

    setattr(owner, name, patched)


class Sender:
    """Sends the signal at the first passing of its moment that counts."""

    def __init__(self, case):
        self.number = getattr(signal, case["signal"])
        self.group = case["group"]
        self.times = case.get("times", 1)
        self.left = case.get("skip", 0)

    def send(self, *arguments):
        self.left -= 1
        if self.left >= 0 or self.times <= 0:
            return
        for _ in range(self.times):
            if self.group:
                os.killpg(os.getpgrp(), self.number)
            else:
                os.kill(os.getpid(), self.number)
            time.sleep(0.02)
        self.times = 0


def _moments(sender):
    from mmdl.callbacks.checkpoints import Checkpoints
    from mmdl.callbacks.train_log import TrainLog
    from mmdl.commands import train
    from mmdl.runs.checkpoint_io import AtomicCheckpointIO
    from mmdl.tasks.base import Task

    def in_fit(self, *arguments):
        if self.trainer.state.fn == "fit":
            sender.send()

    def at_step(self, trainer, *arguments):
        if trainer.global_step == 10:
            sender.send()

    def in_accumulation(self, trainer, module, batch, batch_idx):
        if batch_idx == 5:
            sender.send()

    def in_second_epoch(self, trainer, *arguments):
        if trainer.current_epoch == 1:
            sender.send()

    def in_validation(self, *arguments):
        if self.trainer.state.fn == "fit" and self.trainer.current_epoch == 1:
            sender.send()

    return {
        "start-up": (train, "build_data", sender.send),
        "ranks meet": (Task, "configure_optimizers", in_fit),
        "step": (TrainLog, "on_train_batch_start", at_step),
        "accumulation": (TrainLog, "on_train_batch_start", in_accumulation),
        "last step": (TrainLog, "on_train_batch_start", lambda s, t, m, b, i: i == 13 and sender.send()),
        "validation begins": (Task, "on_validation_epoch_start", in_validation),
        "validation": (Task, "validation_step", in_validation),
        "evaluators": (Task, "on_validation_epoch_end", in_validation),
        "epoch end": (Checkpoints, "on_train_epoch_end", in_second_epoch),
        "saving": (AtomicCheckpointIO, "save_checkpoint", sender.send),
        "test": (Task, "test_step", sender.send),
    }


def _run(case):
    folder = Path(case["folder"])
    for stream, name in ((sys.stdout, "stdout"), (sys.stderr, "stderr")):
        stream.flush()
        handle = (folder / name).open("w")
        os.dup2(handle.fileno(), stream.fileno())
    os.environ.update(case.get("environment", {}))
    os.chdir(folder)
    if case["moment"]:
        sender = Sender(case)
        _patch(*_moments(sender)[case["moment"]])
    from mmdl.__main__ import main

    sys.argv = ["mmdl", *case["words"]]
    return main()


def _imports():
    """What a run imports anyway, so that a fork need not."""
    for name in (
        *("lightning.pytorch", "sklearn.metrics", "torchmetrics", "torchvision"),
        *("mmdl.callbacks.preemption", "mmdl.commands.train", "mmdl.data.shapes_vqa", "mmdl.tasks.vqa"),
    ):
        importlib.import_module(name)


if __name__ == "__main__":
    _imports()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.setsid()
            code = 1
            try:
                code = _run(json.loads(line))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
            sys.exit(code)  # with the handlers of exit, as any run
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
