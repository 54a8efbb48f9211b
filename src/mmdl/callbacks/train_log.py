"""Writes training figures every few optimizer steps, without waiting for the device in between."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.optim import Optimizer

from mmdl.callbacks.gradient_norms import loss_scale
from mmdl.optim.norms import total_norm
from mmdl.optim.rate_names import rate_names
from mmdl.runs.jsonl_logger import JsonlLogger, read_metrics
from mmdl.runs.peak_flops import peak_flops
from mmdl.runs.peak_memory import peak_memory
from mmdl.runs.progress_file import write_progress
from mmdl.runs.rewound_trackers import rewind_trackers
from mmdl.runs.totals import Totals

LOG_KEY = "train_log"
"""Key of a checkpoint under which this callback keeps the interval that has begun, and how much was logged."""

TELL_EVERY = 1.0
"""Seconds between two writings of the progress, at least."""


class TrainLog(Callback):
    """Losses, rates, gradient norm, throughput and cost, to all loggers, every `trainer.log_every_n_steps` and epoch.

    `mmdl.runs.logged` lists the names. Losses are means over all ranks and the steps since the last row.
    Lightning's own `self.log` costs 0.7 ms a step (measured); this sums on the device and reads once an interval.
    A run that is continued writes the same rows at the same steps, and each once.

    Args:
        progress: Where rank 0 writes how far the training is, at most once a second; None: nowhere.
    """

    def __init__(self, progress: Path | None = None) -> None:
        self.progress = progress
        self.totals = Totals()
        self._counts_all = True
        self.latest: dict[str, float] = {}
        self._sums: dict[str, Tensor] = {}
        self._batches = 0
        self._samples = 0
        self._step = 0
        self._since = 0.0
        self._data_wait = 0.0
        self._batch_end = 0.0
        self._told = 0.0
        self._total_steps = 0
        self._norm: Tensor | None = None
        self._rates: list[float] = []
        self._rate_names: dict[str, int] = {}
        self._flops = 0
        self._peak: float | None = None
        self._loaded: dict[str, Any] | None = None

    # -- state ------------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; go on with the interval that a checkpoint has begun."""
        loaded = self._loaded
        self._done, self._due = trainer.global_step, False
        self._step = self._done if loaded is None else loaded["step"]
        # looked up once: each of these is a chain of properties
        self._every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        self._max_steps, self._ranks = trainer.max_steps, trainer.world_size
        self._batch_progress = trainer.fit_loop.epoch_loop.batch_progress
        self._rate_names = rate_names(trainer.optimizers[0].param_groups)
        task: Any = pl_module
        self._total_steps = task.total_steps()
        self._flops = task.training_flops or 0
        if self._flops and trainer.is_global_zero:
            one = peak_flops(pl_module.device, str(trainer.precision))
            self._peak = one * trainer.world_size if one is not None else None
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
        self._tell(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the interval that has begun, what was done so far, and the size of `metrics.jsonl`."""
        own = {name: value.cpu() for name, value in self._sums.items()}
        ranks: list[Any] = [own]
        if trainer.world_size > 1:
            ranks = [None] * trainer.world_size
            torch.distributed.all_gather_object(ranks, own)
        sizes = [logger.size() for logger in trainer.loggers if isinstance(logger, JsonlLogger)]
        begun = self._batch_end - self._since if self._batches else 0.0
        checkpoint[LOG_KEY] = {
            "step": self._step,
            "batches": self._batches,
            "ranks": ranks,
            "size": sizes[0] if sizes else 0,
            "totals": asdict(self.totals) | {"seconds": self.totals.seconds + begun},
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remember the interval; drop from `metrics.jsonl` what was logged after the checkpoint, and is again."""
        self._loaded = checkpoint.get(LOG_KEY)
        totals = (self._loaded or {}).get("totals")
        self._counts_all = totals is not None  # older versions did not save them
        self.totals = Totals(**(totals or {}))
        for logger in trainer.loggers:
            if isinstance(logger, JsonlLogger) and trainer.is_global_zero and self._loaded is not None:
                logger.rewind(self._loaded["size"])
                rewind_trackers(trainer.loggers, read_metrics(logger.path), int(checkpoint["global_step"]))

    # -- time that counts -------------------------------------------------------------------------------------------

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validation and saving between epochs are not training time."""
        self._reset()

    def _reset(self) -> None:
        self._sums, self._batches, self._samples, self._data_wait = {}, 0, 0, 0.0
        self._since = self._batch_end = time.perf_counter()

    def exclude(self, seconds: float) -> None:
        """Leave a time in which nothing was trained out of the throughput; called within `on_train_batch_end`."""
        self._since += seconds

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave a validation within an epoch out of the throughput; what came since the last batch was none of it."""
        if trainer.state.fn == "fit":
            now = time.perf_counter()
            self.exclude(now - self._batch_end)
            self._batch_end = now
            self._tell(trainer)

    # -- every step -------------------------------------------------------------------------------------------------

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the time since the last batch as waiting for data."""
        self._data_wait += time.perf_counter() - self._batch_end

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Take the step's rates and its gradient's norm for a row; clipping, which comes after this, takes that too."""
        self._done += 1
        # no interval goes over an epoch's end
        last = self._batch_progress.is_last_batch or self._done == self._max_steps
        if not last and self._done - self._step < self._every:
            return
        self._due = True
        self._norm = None
        self._rates = [float(group["lr"]) for group in optimizer.param_groups]
        if trainer.gradient_clip_val and trainer.gradient_clip_algorithm in (None, "norm"):
            return
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        if gradients:  # a step that is skipped has none
            self._norm = total_norm(gradients) / loss_scale(trainer, optimizer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Sum; write when an interval of optimizer steps is over."""
        for name, value in outputs.items():
            detached = value.detach()
            self._sums[name] = self._sums[name] + detached if name in self._sums else detached
        self._batches += 1
        if self._ranks == 1:
            samples = pl_module.count(batch)  # type: ignore[operator]
        else:
            samples = trainer.datamodule.share(batch_idx)[1]  # type: ignore[attr-defined]
        self._samples += samples
        self.totals.samples += samples
        self.totals.flops += samples * self._flops
        self._batch_end = time.perf_counter()
        if self._due:
            self._due, self._step = False, self._done
            self._write(trainer, pl_module)
            self._reset()
        if self._batch_end - self._told >= TELL_EVERY:
            self._tell(trainer)

    # -- a row ------------------------------------------------------------------------------------------------------

    def _joined(self, trainer: pl.Trainer) -> dict[str, float]:
        """The sums, averaged over the ranks as gradients are; one reduction an interval."""
        if trainer.world_size == 1 or not self._sums:
            return {name: float(value) for name, value in self._sums.items()}
        own = torch.stack([value.float() for value in self._sums.values()])
        mean: Tensor = trainer.strategy.reduce(own, reduce_op="mean")
        return dict(zip(self._sums, mean.tolist(), strict=True))

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        figures = {f"train/{name}": value / self._batches for name, value in self._joined(trainer).items()}
        if "train/loss" in figures:  # the others come as the task gave them
            figures["train/loss"] *= trainer.accumulate_grad_batches
        elapsed = max(1e-9, time.perf_counter() - self._since)
        figures["train/learning_rate"] = max(self._rates)
        for name, number in self._rate_names.items():
            figures[f"train/learning_rate/{name}"] = self._rates[number]
        norm = self._norm if self._norm is not None else getattr(pl_module, "grad_norm", None)
        if norm is not None:
            figures["train/grad_norm"] = float(norm)
        figures["train/samples_per_s"] = self._samples / elapsed
        if self._flops:
            figures["train/flops_per_s"] = self._samples * self._flops / elapsed
            if self._peak:
                figures["train/flops_share"] = figures["train/flops_per_s"] / self._peak
        if self._counts_all:
            figures["train/samples"] = self.totals.samples
            figures |= {"train/flops": self.totals.flops} if self._flops else {}
        figures["train/data_wait_share"] = self._data_wait / elapsed
        self.totals.seconds += elapsed
        self.totals.peak_bytes = max(self.totals.peak_bytes, peak_memory(pl_module.device))
        figures["memory/peak_gb"] = self.totals.peak_bytes / 1e9
        figures["epoch"] = trainer.current_epoch
        figures["trainer/global_step"] = trainer.global_step
        self.latest = figures
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)

    # -- beside the rows --------------------------------------------------------------------------------------------

    def _tell(self, trainer: pl.Trainer) -> None:
        """Write the progress."""
        self._told = time.perf_counter()
        if self.progress is None or not trainer.is_global_zero:
            return
        facts = {
            "step": trainer.global_step,
            "total_steps": self._total_steps,
            "epoch": trainer.current_epoch,
            "max_epochs": trainer.max_epochs,
            "samples_per_s": self.latest.get("train/samples_per_s"),
        }
        write_progress(self.progress, facts)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell the end."""
        self._tell(trainer)

    def figures(self) -> dict[str, float]:
        """For the summary: what the training took, where that is known from its beginning."""
        return self.totals.figures(self._peak) if self._counts_all else {}
