"""Stops a training that a scheduler wants to end: all ranks save at the same step, and nothing is done twice."""

from __future__ import annotations

import signal
import time
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging

from mmdl.callbacks.checkpoints import Checkpoints, validates_next
from mmdl.callbacks.random_state import random_state, set_random_state
from mmdl.errors import Preempted
from mmdl.runs.host_group import host_group
from mmdl.runs.peers import peers
from mmdl.runs.stop_signals import stop_signals

AGREE_EVERY_S = 1.0
"""Ranks ask each other about so often; each time costs a small message on the CPU."""

MOST_BETWEEN = 1000
"""Steps from one asking to the next, at most."""


class Agreement:
    """Whether any rank was asked to stop, known to all ranks at the same step, without waiting for the device.

    The ranks exchange two numbers on the CPU: their signal, and after how many calls they would like to ask again,
    by how long their own steps take. All take the largest signal and the smallest number, so all ask again at the
    same call. In between a call costs a subtraction.

    Args:
        world_size: Number of ranks; one asks nobody.
    """

    def __init__(self, world_size: int) -> None:
        self.group: Any = host_group() if world_size > 1 else None
        self._left = 0
        self._interval = 1
        self._asked_at = time.monotonic()

    def restart(self) -> None:
        """Ask in the next call: what comes now has another pace."""
        self._left, self._interval, self._asked_at = 0, 1, time.monotonic()

    def signal(self, now: bool = False) -> signal.Signals | None:
        """The signal that stops all ranks at this point. All ranks call this equally often.

        Args:
            now: Ask in this call, whatever the interval; the same on all ranks.
        """
        own = stop_signals.received
        if self.group is None:
            return own
        self._left -= 1
        if self._left > 0 and not now:
            return None
        seconds = (time.monotonic() - self._asked_at) / self._interval
        wanted = 1 if now else min(2 * self._interval, MOST_BETWEEN, int(AGREE_EVERY_S / max(seconds, 1e-6)))
        told = torch.tensor([int(own or 0), -max(1, wanted)])
        torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX, group=self.group)
        number, negative = told.tolist()
        self._left = self._interval = -negative
        self._asked_at = time.monotonic()
        return signal.Signals(number) if number else None


class Preemption(Callback):
    """Saves and leaves after USR1, USR2, TERM or Ctrl-C.

    Between optimizer steps it saves at once; in the middle of accumulated gradients after the next optimizer step,
    since half a gradient can't be continued. A validation or test is left, between its batches and between and within
    its evaluators (`Task.pause`), and done from its start when the run continues; an epoch that is about to end is
    ended first. Lightning's own handling is switched off: it saves inside the handler, which hangs or loses progress
    (pytorch-lightning #21406), and waits for the device in every step of several ranks (#21487).

    Args:
        saver: Writes the checkpoints.
    """

    def __init__(self, saver: Checkpoints) -> None:
        self.saver = saver
        self._agreement: Agreement | None = None
        self._random: dict[str, Any] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Keep Lightning from setting handlers of its own, and from asking for them in every step."""
        connector: Any = trainer._signal_connector
        assert callable(connector.register_signal_handlers)
        connector.register_signal_handlers = _nothing
        loop: Any = trainer.fit_loop.epoch_loop
        assert callable(loop._broadcast_sigterm_tensor)
        loop._broadcast_sigterm_tensor = _nothing
        stop_signals.hold()
        if self._agreement is None:
            self._agreement = Agreement(trainer.world_size)
            if trainer.world_size > 1:
                peers.meet(self._agreement.group)
        pl_module.pause = lambda: self._pause(trainer)  # type: ignore[assignment]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the handlers again, should a library have taken them; leave if a signal came while the ranks met."""
        stop_signals.install()
        validation = trainer.fit_loop.epoch_loop.val_loop
        if validation.restarted_mid_evaluation:
            # Left in a validation, which is now done from its start: Lightning would count one batch too many, and
            # take each later checkpoint for one from the middle of a validation.
            validation.batch_progress.total.reset()
        self._leave_if_asked(trainer, now=True)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave between epochs: the end of the last one was saved."""
        self._leave_if_asked(trainer, now=True)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and leave at an optimizer step."""
        loop = trainer.fit_loop.epoch_loop
        if loop._should_accumulate():
            return
        asked = self._signal(trainer)
        # Nothing of the training is left to do: its last validation or the end of its epoch comes next.
        if asked is None or loop._is_training_done or trainer.should_stop:
            return
        if not validates_next(trainer):
            self._save_and_leave(trainer, asked)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave before the validation begins."""
        if not self._may_leave_validation(trainer):
            return
        self._random = random_state()
        asked = self._signal(trainer, now=True)
        if asked is not None:
            self._leave_validation(trainer, asked)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *arguments: Any
    ) -> None:
        """Leave in the middle of the validation."""
        batch_idx = arguments[2]
        if not self._may_leave_validation(trainer) or not _on_all_ranks(batch_idx, trainer.num_val_batches):
            return
        asked = self._signal(trainer)
        if asked is not None:
            _put_weights_back(trainer)
            self._leave_validation(trainer, asked)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Steps follow, which take another time than the batches of a validation."""
        if self._agreement is not None:
            self._agreement.restart()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave before the test: the end of the training was saved."""
        self._leave_if_asked(trainer, now=True)

    def on_test_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *arguments: Any) -> None:
        """Leave in the middle of the test."""
        if _on_all_ranks(arguments[2], trainer.num_test_batches):
            self._leave_if_asked(trainer)

    def _pause(self, trainer: pl.Trainer) -> None:
        """Leave in the middle of the evaluators, which may take longer than a scheduler waits."""
        if trainer.testing:
            self._leave_if_asked(trainer, now=True)
        elif trainer.validating and self._may_leave_validation(trainer):
            asked = self._signal(trainer, now=True)
            if asked is not None:
                _put_weights_back(trainer)
                self._leave_validation(trainer, asked)

    def _signal(self, trainer: pl.Trainer, now: bool = False) -> signal.Signals | None:
        assert self._agreement is not None
        return self._agreement.signal(now)

    def _may_leave_validation(self, trainer: pl.Trainer) -> bool:
        if trainer.state.fn != "fit" or trainer.sanity_checking or trainer.should_stop:
            return False
        return not trainer.fit_loop.epoch_loop._should_accumulate()

    def _leave_if_asked(self, trainer: pl.Trainer, now: bool = False) -> None:
        asked = self._signal(trainer, now)
        if asked is not None:
            raise self._stop(trainer, asked)

    def _leave_validation(self, trainer: pl.Trainer, asked: signal.Signals) -> None:
        """Save the state from before the validation, as one from which Lightning starts by validating."""
        set_random_state(self._random)
        progress = trainer.fit_loop.epoch_loop.val_loop.batch_progress
        progress.reset()
        progress.increment_ready()
        progress.increment_started()
        self._save_and_leave(trainer, asked)

    def _save_and_leave(self, trainer: pl.Trainer, asked: signal.Signals) -> None:
        stop_signals.leaving = True
        self.saver.save_last(trainer)
        raise self._stop(trainer, asked)

    def _stop(self, trainer: pl.Trainer, asked: signal.Signals) -> Preempted:
        stop_signals.leaving = True
        environment = getattr(trainer.strategy, "cluster_environment", None)
        launched = environment is not None and not environment.creates_processes_externally
        return Preempted(asked, trainer.global_step or None, counts=trainer.is_global_zero or not launched)


def _put_weights_back(trainer: pl.Trainer) -> None:
    """End what averages of the weights have lent to a validation."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, WeightAveraging):
            callback.on_validation_end(trainer, trainer.lightning_module)


def _on_all_ranks(batch_idx: int, batches: Any) -> bool:
    """Whether every rank has this batch: the loaders of all say how many the rank with most has, at most one more."""
    return batch_idx < int(sum(batches)) - 1


def _nothing(*arguments: Any) -> None:
    """In place of what Lightning would do."""
