"""Kills a run at a named place, or copies what a kill would leave there; notes the samples of each batch."""

import json
import os
import shutil
import signal
from pathlib import Path


def _before(owner, name, act):
    plain = getattr(owner, name)

    def patched(self, *arguments, **named):
        act(self, *arguments)
        return plain(self, *arguments, **named)

    setattr(owner, name, patched)


def _after(owner, name, act):
    plain = getattr(owner, name)

    def patched(self, *arguments, **named):
        value = plain(self, *arguments, **named)
        act(self, *arguments)
        return value

    setattr(owner, name, patched)


def _kill(*arguments):
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _copy(target):
    def act(*arguments):
        if not Path(target).exists():
            shutil.copytree(Path.cwd(), target)

    return act


def _act_at(act, at, epoch=1, batch=0, skip=0):
    from mmdl.callbacks.checkpoints import Checkpoints
    from mmdl.callbacks.train_log import TrainLog
    from mmdl.tasks.base import Task

    left = [skip]

    def in_training(self, trainer, module, found, batch_idx):
        if (trainer.current_epoch, batch_idx) == (epoch, batch):
            act()

    def in_validation(self, *arguments):
        trainer = self.trainer
        if trainer.state.fn != "fit" or trainer.current_epoch != epoch:
            return
        left[0] -= 1
        if left[0] < 0:
            act()

    def at_end(self, trainer, *arguments):
        if trainer.current_epoch == epoch:
            act()

    if at == "batch":
        _before(TrainLog, "on_train_batch_start", in_training)
    elif at == "validation":
        _before(Task, "validation_step", in_validation)
    elif at == "figures":
        _after(Task, "on_validation_epoch_end", in_validation)
    elif at == "validated":
        _before(Checkpoints, "on_train_epoch_end", at_end)
    elif at == "saved":
        _after(Checkpoints, "on_train_epoch_end", at_end)
    elif at == "test":
        _before(Task, "on_test_epoch_start", act)
    else:
        raise ValueError(at)


def apply(rank, at=None, by=0, note=None, copies=(), **place):
    """Note batches in the file `note`, and end all processes of the run without a word at a place.

    Args:
        rank: Of this process.
        at: `batch` (before batch `batch` of epoch `epoch`), `validation` (before one of its batches, after `skip`
            others of that epoch), `figures` (after a validation's figures, likewise), `validated` and `saved`
            (before and after the checkpoint of the epoch's end), `test`; None: never.
        by: The rank that kills all.
        note: File that a line is added to for each batch: epoch, batch, rank and rows.
        copies: (place, folder): where the present folder is copied to at a place, of a run with one rank.
        place: `epoch` and `batch`, from 0, and how many passings to `skip` before.
    """
    from mmdl.callbacks.train_log import TrainLog

    def noted(self, trainer, module, found, batch_idx):
        line = [trainer.current_epoch, batch_idx, rank, found["rows"].tolist()]
        with Path(note).open("a") as handle:
            handle.write(json.dumps(line) + "\n")

    if note:
        _before(TrainLog, "on_train_batch_start", noted)
    if at and rank == by:
        _act_at(_kill, at, **place)
    for where, target in copies:
        _act_at(_copy(target), **where)
