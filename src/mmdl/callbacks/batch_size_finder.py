"""Finds how many samples of a batch fit into memory at a time, and keeps the samples of an optimizer step."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from mmdl.allocator import release_freed_memory
from mmdl.batch_size import Fit, divisors, largest_that_fits, part_sizes
from mmdl.callbacks.random_state import random_state, set_random_state
from mmdl.checking import human
from mmdl.data.base import DataModule
from mmdl.data.memory import available_memory
from mmdl.errors import UserError
from mmdl.models.layers.batch_statistics import batch_statistics
from mmdl.runs.peak_memory import STATUS, peak_memory, status_bytes
from mmdl.tasks.base import Task

log = logging.getLogger("mmdl")

SHARE = 0.8
"""Part of the free memory that a step may take: fragmentation, evaluation and the loader want some too."""


COPIES_TO_COME = 3
"""Copies of the learning weights that exist in training and not in the probe: two moments and an average of weights."""


class BatchSizeFinder(Callback):
    """Before training, measures forward and backward passes of growing size, and splits the batch where it must.

    The samples of an optimizer step over all ranks stay what they were, and so does the order of samples: what does not
    fit at a time is accumulated (`trainer.accumulate_grad_batches`), and a contrastive batch, whose loss is no sum over
    its samples, is encoded in parts (`task.micro_batch`). All ranks take the decision of the one with the least room.
    Lightning's own finder changes the global batch, and can't be used with several ranks (pytorch-lightning #20994).

    Args:
        limit_gb: Memory of a rank, in 10^9 bytes; None takes 80% of what is free on its device.
        found: Told `data.batch_size`, `trainer.accumulate_grad_batches` and `task.micro_batch` where they have changed.
    """

    def __init__(
        self, limit_gb: float | None = None, found: Callable[[dict[str, int]], None] | None = None
    ) -> None:
        if limit_gb is not None and not limit_gb > 0:
            raise UserError(f"memory_limit_gb={limit_gb}", valid="a positive number of GB, or null")
        self.limit_gb = limit_gb
        self.found = found
        self.fit: Fit | None = None
        """What was measured; None before."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Measure and decide, once the ranks have met and before loaders and gradients' buckets are made."""
        if stage != "fit" or self.fit is not None:
            return
        task, data = pl_module, trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(task, Task)
        assert isinstance(data, DataModule)
        if not isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy):
            raise UserError(
                f"find_batch_size=true with {type(trainer.strategy).__name__}, which spreads the model over the ranks",
                valid="one rank, or strategy=ddp",
                fix="find_batch_size=false data.batch_size=NUMBER",
            )
        whole = data.batch_size * trainer.accumulate_grad_batches
        least = min(whole, 2 if batch_statistics(task.model) else 1)
        candidates = [
            size for size in (part_sizes(whole) if task.splits_batches else divisors(whole)) if size >= least
        ]
        budget = self._budget(trainer, task)
        probe = _probe(trainer, task, data)
        self.fit = fit = largest_that_fits(candidates, probe, budget, _learning(task), least)
        if fit.size == 0:
            size, taken = fit.probes[-1]
            raise UserError(
                f"{size} of the samples take about {human(taken, 'B')} in training, and {human(budget, 'B')} can be "
                f"had; a batch of {whole} can be taken in parts of {', '.join(map(str, candidates[:4]))}, ...",
                valid="a smaller model, smaller images, or a batch with smaller divisors",
                fix="data.image_size, task.freeze, trainer.precision=bf16-mixed, or memory_limit_gb",
            )
        changed = self._apply(trainer, task, data, whole, fit.size)
        if trainer.is_global_zero:
            log.info("batch size   %s", _said(trainer, task, data, fit, budget))
        if self.found is not None:
            self.found(changed)

    def _budget(self, trainer: pl.Trainer, task: Task) -> float:
        """Bytes that a step may take on every rank, beyond what the process holds now."""
        device = trainer.strategy.root_device
        if self.limit_gb is not None:
            own = self.limit_gb * 1e9
        elif device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            own = SHARE * free
        else:
            own = SHARE * available_memory() / max(1, trainer.num_devices)
        return -_largest(trainer, -(own - COPIES_TO_COME * _learning(task)))

    def _apply(
        self, trainer: pl.Trainer, task: Task, data: DataModule, whole: int, size: int
    ) -> dict[str, int]:
        if task.splits_batches:
            data.batch_size, trainer.accumulate_grad_batches = whole, 1
            changed = {"data.batch_size": whole, "trainer.accumulate_grad_batches": 1}
            if size < whole:
                task.split_batches(size)
                changed["task.micro_batch"] = size
            return changed
        data.batch_size, trainer.accumulate_grad_batches = size, whole // size
        return {"data.batch_size": size, "trainer.accumulate_grad_batches": whole // size}


def _said(trainer: pl.Trainer, task: Task, data: DataModule, fit: Fit, budget: float) -> str:
    ranks, times = trainer.world_size, trainer.accumulate_grad_batches
    each = f" on each of {ranks} ranks" if ranks > 1 else ""
    how = "at a time" + each + (f", accumulated {times} times" if times > 1 else "")
    if task.splits_batches and fit.size < data.batch_size:
        how = f"encoded at a time{each}"
    if times > 1 and batch_statistics(task.model):
        how += " (batch norm takes its statistics from as many)"
    return (
        f"{fit.size} samples {how}: {data.batch_size * times * ranks} in an optimizer step; "
        f"{human(fit.bytes, 'B')} of {human(budget, 'B')}"
    )


def _learning(task: Task) -> int:
    """Bytes of the weights that learn, and so of their gradients."""
    return sum(p.nbytes for p in task.model.parameters() if p.requires_grad)


def _largest(trainer: pl.Trainer, value: float) -> float:
    """The largest of the ranks' values."""
    if trainer.world_size == 1:
        return value
    told = torch.tensor([value], dtype=torch.float64, device=trainer.strategy.root_device)
    torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
    return float(told)


def _probe(trainer: pl.Trainer, task: Task, data: DataModule) -> Callable[[int], float]:
    """Samples -> bytes that their forward and backward pass takes on the rank on which it takes most."""
    device = trainer.strategy.root_device
    rows = data.sampler("train").rows_of(0)
    _release(device)
    held = _held(device)

    def measure(size: int) -> float:
        with _untouched(task, device):
            batch = data.batch("train", np.resize(rows, size))
            try:
                _forget_peak(device)
                with trainer.precision_plugin.train_step_context():
                    loss = task.probe_loss({name: value.to(device) for name, value in batch.items()})
                loss.backward()
                own = float(max(0, peak_memory(device) - held))
            except torch.cuda.OutOfMemoryError:
                own = float("inf")
        return _largest(trainer, own)

    return measure


@contextmanager
def _untouched(task: Task, device: torch.device) -> Iterator[None]:
    """A pass within changes neither buffers, random states nor gradients."""
    task.to(device)
    training, state = task.model.training, random_state()
    buffers = {name: value.clone() for name, value in task.model.named_buffers()}
    task.model.train()
    try:
        with torch.enable_grad():
            yield
    finally:
        task.model.train(training)
        for parameter in task.model.parameters():
            parameter.grad = None
        with torch.no_grad():
            for name, value in task.model.named_buffers():
                value.copy_(buffers[name])
        set_random_state(state)
        _release(device)


def _release(device: torch.device) -> None:
    """Give back memory that is not used: it would be taken again unseen."""
    gc.collect()
    release_freed_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _held(device: torch.device) -> int:
    """Bytes that the process holds now, on an accelerator or in main memory."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return status_bytes("VmRSS") if STATUS.exists() else peak_memory(device)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # the peak since the start of the process serves as well: sizes grow
