"""Progress on the console: a bar with an estimate on a terminal, a line an epoch in a log file."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

from mmdl.evaluators.base import brief_names
from mmdl.runs.folder import rank


class Progress(Callback):
    """Shows how far the training is, how long it will take, and each validation's figures.

    Args:
        monitor: Metric to show first.
    """

    def __init__(self, monitor: str | None = None) -> None:
        self.monitor = monitor
        self._bar: tqdm[Any] | None = None
        self._eval_bar: tqdm[Any] | None = None
        self._began = 0.0
        self._first_step = 0
        self._tty = sys.stderr.isatty()

    def _new_bar(self, total: int, description: str, leave: bool, initial: int = 0) -> tqdm[Any]:
        return tqdm(
            total=total,
            initial=initial,
            desc=description,
            leave=leave,
            disable=rank() != 0 or not self._tty,
            dynamic_ncols=True,
            unit="batch",
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar over all batches of the run."""
        self._began = time.monotonic()
        epochs = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else 1
        total = int(trainer.num_training_batches * epochs)
        if trainer.max_steps > 0:
            total = min(total, trainer.max_steps * trainer.accumulate_grad_batches)
        done = trainer.fit_loop.epoch_loop.batch_progress.total.completed
        self._first_step = done
        self._total = total
        self._bar = self._new_bar(total, "train", leave=False, initial=done)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move on."""
        if self._bar is not None:
            self._bar.update(1)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open a bar for the validation."""
        batches = trainer.num_val_batches
        self._eval_bar = self._new_bar(int(sum(batches)) if batches else 0, "validate", leave=False)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open a bar for the test."""
        batches = trainer.num_test_batches
        self._eval_bar = self._new_bar(int(sum(batches)) if batches else 0, "test", leave=False)

    def on_validation_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Move on."""
        if self._eval_bar is not None:
            self._eval_bar.update(1)

    on_test_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar and print the line of the epoch."""
        self._close_eval()
        if trainer.sanity_checking or rank() != 0 or trainer.state.fn != "fit":
            return
        done = trainer.fit_loop.epoch_loop.batch_progress.total.ready
        elapsed = time.monotonic() - self._began
        share = max(1, done - self._first_step) / max(1, self._total - self._first_step)
        left = elapsed / share - elapsed
        # metrics.jsonl has all of them; the line holds the overall ones
        evaluators = getattr(pl_module, "evaluators", {}).values()
        names = brief_names(evaluators, trainer.callback_metrics, "val")
        metrics = {name: float(trainer.callback_metrics[name]) for name in names}
        shown = sorted(metrics, key=lambda name: (name != self.monitor, name))
        figures = "  ".join(f"{name} {metrics[name]:.4f}" for name in shown)
        tqdm.write(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  step {trainer.global_step}  {figures}  "
            f"{elapsed:.0f} s, about {max(0.0, left):.0f} s left",
            file=sys.stderr,
        )

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        self._close_eval()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the bars, so that the error starts on a line of its own."""
        self._close_eval()
        self.on_train_end(trainer, pl_module)

    def _close_eval(self) -> None:
        if self._eval_bar is not None:
            self._eval_bar.close()
            self._eval_bar = None
