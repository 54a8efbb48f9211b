"""Progress on the console: a bar with an estimate on a terminal, and a line an epoch, which a log file gets too."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

from mmdl.callbacks.checkpoints import Checkpoints
from mmdl.callbacks.train_log import TrainLog
from mmdl.evaluators.base import brief_names
from mmdl.runs.durations import duration, rate
from mmdl.runs.folder import rank

SIGN_OF_LIFE_S = 300.0
"""A log file gets a line at least so often, also within a long epoch."""


class Progress(Callback):
    """Shows how far the training is, how long it will take, how fast it is, and each validation's figures.

    Args:
        monitor: Metric to show first.
    """

    def __init__(self, monitor: str | None = None) -> None:
        self.monitor = monitor
        self._samples_per_s: float | None = None
        self._said = 0.0
        self._line_due = False
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
        self._began = self._said = time.monotonic()
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
        self._line_due = True
        if self._bar is None or rank() != 0:
            return
        if self._tty:
            self._bar.update(1)
            if self._bar.n % 16 == 0 and (speed := self._throughput(trainer)) is not None:
                self._bar.set_postfix_str(rate(speed), refresh=False)
        elif time.monotonic() - self._said > SIGN_OF_LIFE_S:
            self._say(trainer, "")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The line of an epoch without a validation at its end."""
        if self._line_due and rank() == 0:
            self._say(trainer, "")

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
        # metrics.jsonl has all of them; the line holds the overall ones
        evaluators = getattr(pl_module, "evaluators", {}).values()
        names = brief_names(evaluators, trainer.callback_metrics, "val")
        metrics = {name: float(trainer.callback_metrics[name]) for name in names}
        shown = sorted(metrics, key=lambda name: (name != self.monitor, name))
        best = f" ({self._best(trainer)})"
        texts = [f"{name} {metrics[name]:.4f}{best if name == self.monitor else ''}" for name in shown]
        self._say(trainer, "  ".join(texts))

    def _best(self, trainer: pl.Trainer) -> str:
        """How the monitored figure compares with the best one, which `Checkpoints` is about to take note of."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Checkpoints) and self.monitor and callback.monitor == self.monitor:
                value, best = float(trainer.callback_metrics[self.monitor]), callback.best_score
                sign = 1 if callback.mode == "max" else -1
                is_best = math.isnan(best) or sign * value >= sign * best
                return "best" if is_best else f"best {best:.4f}"
        return "monitored"

    def _throughput(self, trainer: pl.Trainer) -> float | None:
        """What `metrics.jsonl` has too."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, TrainLog):
                self._samples_per_s = callback.latest.get("train/samples_per_s", self._samples_per_s)
        return self._samples_per_s

    def _say(self, trainer: pl.Trainer, figures: str) -> None:
        """Write the line: where the training is, the figures, how fast it is, and how long it will take."""
        done = trainer.fit_loop.epoch_loop.batch_progress.total.ready
        elapsed = time.monotonic() - self._began
        share = max(1, done - self._first_step) / max(1, self._total - self._first_step)
        left = max(0.0, elapsed / share - elapsed)
        self._said, self._line_due = time.monotonic(), False
        speed = self._throughput(trainer)
        parts = [
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            f"step {trainer.global_step}",
            figures,
            rate(speed) if speed is not None else "",
            f"{duration(elapsed)}, about {duration(left)} left",
        ]
        tqdm.write("  ".join(part for part in parts if part), file=sys.stderr)

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
