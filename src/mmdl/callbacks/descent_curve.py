"""Follows a descent: the loss over the whole training set against epochs, steps and seconds, and the gradient noise."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.func import functional_call

from mmdl.batch import ImageBatch
from mmdl.callbacks.train_log import TrainLog
from mmdl.data.base import DataModule
from mmdl.data.sampler import spread_rows
from mmdl.errors import UserError
from mmdl.metrics.gradient_noise import gradient_noise
from mmdl.models.layers.eval_mode import eval_mode
from mmdl.tasks.base import Task

PREFIX = "descent"


class DescentCurve(Callback):
    """Measures how far a training has come on one fixed quantity: the mean loss over the training set, in eval mode.

    That is before the first step, after every epoch, and at optimizer steps that are spread evenly on a log scale.
    Each measurement goes to all loggers as `descent/train_loss`, `descent/epochs` and `descent/seconds`. The seconds
    are those of training: waiting for data and the callbacks of the steps count; what is measured here, validation
    and checkpoints at the end of epochs do not. A resumed run goes on counting.

    After some epochs the gradient-noise scale is measured too, from the gradient of each single sample
    (`mmdl.metrics.gradient_noise`): `descent/gradient_noise_scale` in samples, with its two parts
    `descent/gradient_trace` and `descent/gradient_squared_norm`.

    Args:
        points: How many log-spaced optimizer steps.
        loss_samples: Training samples of the loss, evenly spread; None takes all.
        noise_points: How many log-spaced epochs the noise is measured after, besides the start; 0: never.
        noise_samples: Training samples whose gradients are taken, evenly spread; None takes all.
    """

    def __init__(
        self,
        points: int = 60,
        loss_samples: int | None = None,
        noise_points: int = 6,
        noise_samples: int | None = 2048,
    ) -> None:
        self.points = points
        self.loss_samples = loss_samples
        self.noise_points = noise_points
        self.noise_samples = noise_samples
        self._steps: set[int] = set()
        self._noise_epochs: set[int] = set()
        self._measured_at = -1
        self._seconds = 0.0
        self._since: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """The seconds so far, and the last step that was measured."""
        running = time.perf_counter() - self._since if self._since is not None else 0.0
        return {"seconds": self._seconds + running, "measured_at": self._measured_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self._seconds, self._measured_at = state_dict["seconds"], state_dict["measured_at"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the points; measure where nothing has been learned yet."""
        assert isinstance(pl_module, Task)
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        if self.noise_points and data.produces is not ImageBatch:
            raise UserError(
                f"the gradient noise of single samples can't be taken from batches of {data.produces.__name__}",
                valid="image classification, where a row of a batch is a sample",
                fix="callbacks.descent_curve.noise_points=0",
            )
        total = pl_module.total_steps()
        batches = max(1, int(trainer.num_training_batches) // trainer.accumulate_grad_batches)
        self._steps = log_spaced(total, self.points)
        self._noise_epochs = {0, *log_spaced(-(-total // batches), self.noise_points)}
        if not self.noise_points:
            self._noise_epochs = set()
        if self._measured_at < 0:
            self._measure(trainer, pl_module, 0.0)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Run the clock."""
        self._since = time.perf_counter()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Run the clock, after a validation within the epoch."""
        if self._since is None:
            self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure where an optimizer step is a point."""
        step, last = trainer.global_step, trainer.is_last_batch
        if step == self._measured_at or not (last or step in self._steps):
            return
        assert isinstance(pl_module, Task)
        self._pause(pl_module.device)
        began = time.perf_counter()
        self._measure(
            trainer, pl_module, trainer.current_epoch + (batch_idx + 1) / trainer.num_training_batches
        )
        now = time.perf_counter()
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, TrainLog):
                callback.exclude(now - began)
        if not last:
            self._since = now

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self._pause(pl_module.device)

    def _pause(self, device: torch.device) -> None:
        if self._since is None:
            return
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # what was launched belongs to the time of training
        self._seconds += time.perf_counter() - self._since
        self._since = None

    def _measure(self, trainer: pl.Trainer, task: Task, epochs: float) -> None:
        self._measured_at = trainer.global_step
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        count = int(data.offsets("train")[-1])
        _, loss, measured = task.evaluate_rows(data, "train", spread_rows(count, self.loss_samples))
        figures = {"train_loss": loss, "samples": measured, "epochs": epochs, "seconds": self._seconds}
        if epochs in self._noise_epochs:
            noise = task_gradient_noise(task, data, self.noise_samples)
            figures["gradient_noise_scale"] = noise.scale
            figures["gradient_trace"] = noise.trace
            figures["gradient_squared_norm"] = noise.squared_norm
        named = {f"{PREFIX}/{name}": value for name, value in figures.items()}
        for logger in trainer.loggers:
            logger.log_metrics(named | {"trainer/global_step": trainer.global_step}, step=trainer.global_step)


def log_spaced(total: int, points: int) -> set[int]:
    """Whole numbers from 1 to `total`, evenly spread on a log scale; fewer than `points` where they coincide.

    >>> sorted(log_spaced(20, 6))
    [1, 2, 3, 6, 11, 20]
    """
    return set(np.geomspace(1, max(1, total), max(1, points)).round().astype(int).tolist())


class _SampleLoss(nn.Module):
    """The task's loss of one sample, as a module whose parameters can be replaced."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, sample: dict[str, Tensor]) -> Tensor:
        loss: Tensor = self.task.losses({name: value[None] for name, value in sample.items()})["loss"]
        return loss


def task_gradient_noise(task: Task, data: DataModule, most: int | None = None) -> Any:
    """The gradient noise of a task over its training set, with the weights as they are, in eval mode.

    Args:
        task: Whose samples are rows of a batch.
        data: Its data module.
        most: Samples to measure, evenly spread; None takes all, and the result is exact.

    Returns:
        A `mmdl.metrics.gradient_noise.GradientNoise`.
    """
    count = int(data.offsets("train")[-1])
    batch: dict[str, Tensor] = data.dataset("train")[spread_rows(count, most)]
    samples = {name: value.to(task.device) for name, value in batch.items()}
    loss = _SampleLoss(task)
    parameters = {name: value for name, value in loss.named_parameters() if value.requires_grad}
    with eval_mode(task):
        return gradient_noise(lambda p, s: functional_call(loss, dict(p), (s,)), parameters, samples, count)
