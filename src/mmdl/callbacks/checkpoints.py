"""Keeps the last checkpoints to resume from, and the best weights to use."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint

from mmdl.errors import UserError
from mmdl.runs.agreement import failing_together
from mmdl.runs.checkpoint_files import FORMAT, MMDL_KEY, clean_checkpoints, remove_checkpoint, step_of
from mmdl.runs.files import writing
from mmdl.runs.stream_safetensors import stream_safetensors

AGREE_EVERY = 20
"""Ranks agree on whether it is time to save after so many steps: a broadcast in each step would cost too much."""

KEEP_BEST = 3
"""Best checkpoints on disk: an older `last` may still name an older best one."""


class Checkpoints(Checkpoint):
    """Saves `last-step=N.ckpt` on time, by steps and at the end of epochs, and `best-step=N.ckpt` on improvement.

    Args:
        folder: Where; the run folder's `checkpoints/`.
        monitor: Metric of the validation that decides which is best; None takes the last.
        mode: Whether more is better.
        every_minutes: Save so often within an epoch (0: never).
        every_steps: Save after so many optimizer steps (0: never).
        keep: How many of the last to keep, at least 2: the newest may turn out to be damaged.

    Raises:
        UserError: for fewer than 2 to keep.
    """

    def __init__(
        self,
        folder: str,
        monitor: str | None = None,
        mode: Literal["max", "min"] = "max",
        every_minutes: float = 10.0,
        every_steps: int = 0,
        keep: int = 2,
    ) -> None:
        self.folder = Path(folder)
        self.monitor = monitor
        self.mode = mode
        self.every_minutes = every_minutes
        self.every_steps = every_steps
        if keep < 2:
            raise UserError(
                f"callbacks.checkpoints.keep={keep}",
                valid="2 or more: were the only checkpoint damaged, all would be lost",
                fix="callbacks.checkpoints.keep=2",
            )
        self.keep = keep
        self.best_score = math.nan
        self.best_name = ""
        self.stopped = False
        self.facts: dict[str, Any] = {}
        """What every checkpoint carries under the key `mmdl`; the command fills it in."""
        self._saved_at = time.monotonic()
        self._saved_step = -1
        self._after_validation = False

    def state_dict(self) -> dict[str, Any]:
        """Best score and file, and whether the run had decided to stop."""
        return {"best_score": self.best_score, "best_name": self.best_name, "stopped": self.stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.best_score = state_dict["best_score"]
        self.best_name = state_dict["best_name"]
        self.stopped = state_dict["stopped"]

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what makes the checkpoint self-contained."""
        checkpoint[MMDL_KEY] = {"format": FORMAT, **self.facts}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tidy up after an interrupted run; don't train on where the run had stopped early."""
        self._saved_at = time.monotonic()
        if trainer.is_global_zero:
            with writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                clean_checkpoints(self.folder)
            for orphan in self.folder.glob("*.ckpt"):
                if step_of(orphan) > trainer.global_step:
                    remove_checkpoint(orphan)
        if self.stopped:
            trainer.should_stop = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch, at optimizer steps only: half an accumulated gradient can't be continued."""
        step = trainer.global_step
        if step == self._saved_step or trainer.fit_loop._should_accumulate() or trainer.is_last_batch:
            return
        by_steps = self.every_steps > 0 and step % self.every_steps == 0
        by_time = self.every_minutes > 0 and time.monotonic() - self._saved_at >= 60 * self.every_minutes
        if trainer.world_size > 1 and self.every_minutes > 0 and step % AGREE_EVERY == 0:
            by_time = bool(trainer.strategy.broadcast(by_time))
        elif trainer.world_size > 1:
            by_time = False
        if not (by_steps or by_time):
            return
        # Lightning would take a checkpoint from before the validation for one from after it, and leave it out.
        self._after_validation = validates_next(trainer)
        if not self._after_validation:
            self.save_last(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the best checkpoint where the monitored metric has improved, and the last where that was due."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self._save_best(trainer)
        if self._after_validation:
            self._after_validation = False
            self.save_last(trainer)

    def _save_best(self, trainer: pl.Trainer) -> None:
        if self.monitor is None:
            return
        value = trainer.callback_metrics.get(self.monitor)
        if value is None:
            return
        score = float(value)
        # Of equal scores the later counts: it had the smaller learning rate, and small sets tie often.
        better = score >= self.best_score if self.mode == "max" else score <= self.best_score
        if better or math.isnan(self.best_score):
            self.best_score = score
            self.best_name = f"best-step={trainer.global_step:08d}.ckpt"
            self._save(trainer, self.best_name)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save at the end of the epoch, after its validation."""
        self.stopped = bool(trainer.should_stop)
        self.save_last(trainer)

    def _save(self, trainer: pl.Trainer, name: str) -> None:
        """Save on rank 0; where that fails, all ranks end together."""
        with failing_together(trainer):
            try:
                trainer.save_checkpoint(self.folder / name)
            except UserError:
                trainer.strategy.barrier("Trainer.save_checkpoint")  # the others are waiting there
                raise

    def save_last(self, trainer: pl.Trainer) -> None:
        """Save `last-step=N.ckpt` of the present step and remove the oldest; all ranks call it together."""
        self._save(trainer, f"last-step={trainer.global_step:08d}.ckpt")
        self._saved_at = time.monotonic()
        self._saved_step = trainer.global_step
        self._prune(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove what a run left that was killed after its last saving, and had nothing more to train."""
        self._prune(trainer)

    def _prune(self, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero:
            return
        for pattern, keep in (("last-*.ckpt", self.keep), ("best-*.ckpt", KEEP_BEST)):
            for old in sorted(self.folder.glob(pattern), key=step_of)[:-keep]:
                if old.name != self.best_name:
                    remove_checkpoint(old)


def validates_next(trainer: pl.Trainer) -> bool:
    """Whether a validation follows the batch that has just ended."""
    fetcher = trainer.fit_loop._data_fetcher
    return fetcher is not None and trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def write_weights(state_dict: dict[str, Any], path: Path) -> None:
    """Write the model's tensors as one safetensors file, atomically.

    Args:
        state_dict: Of the task; the prefix `model.` is taken off.
        path: The file.

    Raises:
        WriteError: if it can't be written.
    """
    tensors = {name.removeprefix("model."): tensor for name, tensor in state_dict.items()}
    stream_safetensors(path, tensors, lambda names: {name: tensors[name].cpu() for name in names})
