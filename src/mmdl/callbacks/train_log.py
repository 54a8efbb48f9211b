"""Writes training figures every few optimizer steps, without waiting for the device in between."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mmdl.runs.jsonl_logger import JsonlLogger, read_metrics
from mmdl.runs.rewound_trackers import rewind_trackers

LOG_KEY = "train_log"
"""Key of a checkpoint under which this callback keeps the interval that has begun, and how much was logged."""


class TrainLog(Callback):
    """Mean losses, learning rate, gradient norm and throughput, to all loggers, every `trainer.log_every_n_steps`.

    Losses are means over all ranks.
    Lightning's own `self.log` costs 0.7 ms a step (measured); this sums on the device and reads once an interval.
    A run that is continued writes the same rows at the same steps, and each once.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._batches = 0
        self._samples = 0
        self._step = 0
        self._since = 0.0
        self._data_wait = 0.0
        self._batch_end = 0.0
        self._loaded: dict[str, Any] | None = None
        self.latest: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; go on with the interval that a checkpoint has begun."""
        loaded = self._loaded
        self._step = trainer.global_step if loaded is None else loaded["step"]
        self._reset()
        if loaded is not None:
            own = loaded["ranks"]
            if len(own) != trainer.world_size:
                own = [
                    {n: torch.stack([part[n] for part in own]).mean(0) for n in own[0]}
                ] * trainer.world_size
            sums = own[trainer.global_rank]
            self._sums = {name: value.to(pl_module.device) for name, value in sums.items()}
            self._batches = loaded["batches"]
        self._loaded = None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the interval that has begun, and the size of `metrics.jsonl`."""
        own = {name: value.cpu() for name, value in self._sums.items()}
        ranks: list[Any] = [own]
        if trainer.world_size > 1:
            ranks = [None] * trainer.world_size
            torch.distributed.all_gather_object(ranks, own)
        sizes = [logger.size() for logger in trainer.loggers if isinstance(logger, JsonlLogger)]
        checkpoint[LOG_KEY] = {
            "step": self._step,
            "batches": self._batches,
            "ranks": ranks,
            "size": sizes[0] if sizes else 0,
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remember the interval; drop from `metrics.jsonl` what was logged after the checkpoint, and is again."""
        self._loaded = checkpoint.get(LOG_KEY)
        for logger in trainer.loggers:
            if isinstance(logger, JsonlLogger) and trainer.is_global_zero and self._loaded is not None:
                logger.rewind(self._loaded["size"])
                rewind_trackers(trainer.loggers, read_metrics(logger.path), int(checkpoint["global_step"]))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validation and saving between epochs are not training time."""
        self._reset()

    def _reset(self) -> None:
        self._sums, self._batches, self._samples, self._data_wait = {}, 0, 0, 0.0
        self._since = self._batch_end = time.perf_counter()

    def exclude(self, seconds: float) -> None:
        """Leave a time in which nothing was trained out of the throughput; called within `on_train_batch_end`."""
        self._since += seconds

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the time since the last batch as waiting for data."""
        self._data_wait += time.perf_counter() - self._batch_end

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Sum; write when an interval of optimizer steps is over."""
        for name, value in outputs.items():
            detached = value.detach()
            self._sums[name] = self._sums[name] + detached if name in self._sums else detached
        self._batches += 1
        self._samples += pl_module.count(batch)  # type: ignore[operator]
        self._batch_end = time.perf_counter()
        if trainer.global_step - self._step >= trainer.log_every_n_steps:  # type: ignore[attr-defined]
            self._step = trainer.global_step
            self._write(trainer, pl_module)
            self._reset()

    def _joined(self, trainer: pl.Trainer) -> dict[str, float]:
        """The sums, averaged over the ranks as gradients are; one reduction an interval."""
        if trainer.world_size == 1 or not self._sums:
            return {name: float(value) for name, value in self._sums.items()}
        own = torch.stack([value.float() for value in self._sums.values()])
        mean: Tensor = trainer.strategy.reduce(own, reduce_op="mean")
        return dict(zip(self._sums, mean.tolist(), strict=True))

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        figures = {f"train/{name}": value / self._batches for name, value in self._joined(trainer).items()}
        elapsed = max(1e-9, time.perf_counter() - self._since)
        rates = sorted({float(group["lr"]) for group in trainer.optimizers[0].param_groups}, reverse=True)
        figures["train/learning_rate"] = rates[0]
        if len(rates) > 1:
            figures["train/learning_rate_min"] = rates[-1]
        grad_norm = getattr(pl_module, "grad_norm", None)
        if grad_norm is not None:
            figures["train/grad_norm"] = float(grad_norm)
        figures["train/samples_per_s"] = self._samples * trainer.world_size / elapsed
        figures["train/data_wait_share"] = self._data_wait / elapsed
        figures["epoch"] = trainer.current_epoch
        figures["trainer/global_step"] = trainer.global_step
        self.latest = figures
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)
