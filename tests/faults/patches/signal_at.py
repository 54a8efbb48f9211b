"""Has a run sent signals at named moments, and write down each batch on which it trains."""

import hashlib
import os
import signal
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

    def __init__(self, numbers, group, times, skip, parent=False):
        self.numbers = [getattr(signal, number) for number in numbers]
        self.group = group
        self.parent = parent
        self.times = times
        self.left = skip

    def send(self, *arguments):
        self.left -= 1
        if self.left >= 0 or self.times <= 0:
            return
        for number in self.numbers * self.times:
            if self.group:
                os.killpg(os.getpgrp(), number)
            else:
                os.kill(os.getppid() if self.parent else os.getpid(), number)
            time.sleep(0.02)
        self.times = 0


def _moments(sender):
    from mmdl.callbacks.checkpoints import Checkpoints
    from mmdl.callbacks.train_log import TrainLog
    from mmdl.commands import train
    from mmdl.evaluators import encoding
    from mmdl.runs.checkpoint_io import AtomicCheckpointIO
    from mmdl.runs.stop_signals import stop_signals
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

    def late(self, trainer, module, batch, batch_idx):
        if trainer.current_epoch == 1 and batch_idx == 5:
            sender.send()

    def in_validation(self, *arguments):
        if self.trainer.state.fn == "fit" and self.trainer.current_epoch == 1:
            sender.send()

    def when_leaving(*arguments):
        if stop_signals.received is not None:
            sender.send()

    return {
        "start-up": (train, "build_data", sender.send),
        "ranks meet": (Task, "configure_optimizers", in_fit),
        "step": (TrainLog, "on_train_batch_start", at_step),
        "accumulation": (TrainLog, "on_train_batch_start", in_accumulation),
        "last step": (TrainLog, "on_train_batch_start", lambda s, t, m, b, i: i == 13 and sender.send()),
        "second epoch": (TrainLog, "on_train_batch_start", late),
        "validation begins": (Task, "on_validation_epoch_start", in_validation),
        "validation": (Task, "validation_step", in_validation),
        "evaluators": (Task, "on_validation_epoch_end", in_validation),
        "epoch end": (Checkpoints, "on_train_epoch_end", in_second_epoch),
        "saving": (AtomicCheckpointIO, "save_checkpoint", sender.send),
        "leaving": (AtomicCheckpointIO, "save_checkpoint", when_leaving),
        "encoding": (encoding, "eval_mode", sender.send),
        "before the test": (train, "_test", sender.send),
        "test": (Task, "test_step", sender.send),
        "after the test": (train, "_finish", sender.send),
    }


def record_batches(rank):
    """Append step and hash of each training batch to `batches.RANK` in the working directory."""
    from mmdl.callbacks.train_log import TrainLog

    file = Path(f"batches.{rank}").absolute()

    def at_end(self, trainer, module, outputs, batch, batch_idx):
        tensors = [value.cpu().numpy() for value in batch.values() if hasattr(value, "cpu")]
        digest = hashlib.sha1(b"".join(value.tobytes() for value in tensors)).hexdigest()
        with file.open("a") as lines:
            lines.write(f"{trainer.current_epoch} {batch_idx} {trainer.global_step} {digest}\n")

    _patch(TrainLog, "on_train_batch_end", at_end)


def apply(
    rank,
    moment=None,
    number="SIGTERM",
    group=False,
    times=1,
    skip=0,
    on_rank=0,
    then=(),
    agree_every=1.0,
    parent=False,
):
    """Send signal `number` at `moment` (of `_moments`) of one rank.

    Args:
        rank: Of this process.
        moment: Name of the moment; None sends nothing.
        number: `SIGUSR1`, `SIGUSR2` or `SIGTERM`.
        group: To all processes of the run, the loader's workers too.
        times: How often, 20 ms apart.
        skip: So many passings of the moment before.
        on_rank: Which rank passes the moment.
        then: Further signals, while the run that was stopped writes its checkpoint.
        parent: To what has started this process, in its place.
        agree_every: Seconds between two times when ranks ask each other.
    """
    from mmdl.callbacks import preemption

    preemption.AGREE_EVERY_S = agree_every
    record_batches(rank)
    if rank == on_rank and moment is not None:
        _patch(*_moments(Sender([number], group, times, skip, parent))[moment])
        _patch(*_moments(Sender(then, group, 1, 0))["leaving"])
