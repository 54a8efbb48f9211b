"""What a run that is continued with a changed configuration needs, beyond what Lightning restores."""

from __future__ import annotations

import warnings
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from mmdl.data.base import DataModule
from mmdl.runs.checkpoint_io import MMDL_KEY
from mmdl.tasks.base import Task


class Continuation(Callback):
    """Counts batches as they are cut now, and lets changed settings of the optimizer and the schedule take effect.

    Lightning counts on from the batches that were done, which were of another size; and it restores the learning
    rate, its schedule and all else of the optimizer's groups from the checkpoint, whatever the configuration says.

    Args:
        changed: The configuration may differ from that of the checkpoint (`allow_changes=true`).
        optimizer: Its node of the configuration, as plain values; moments of another optimizer are not loaded.
    """

    def __init__(self, changed: bool = False, optimizer: dict[str, Any] | None = None) -> None:
        self.changed = changed
        self.optimizer = optimizer or {}
        self._position: dict[str, int] = {}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Leave out the moments of another optimizer, and all of the schedule but its position."""
        if self.changed:
            states = checkpoint.get("lr_schedulers") or [{}]
            self._position = {
                key: states[0][key] for key in ("last_epoch", "_step_count") if key in states[0]
            }
            checkpoint["lr_schedulers"] = []
        before = (checkpoint.get(MMDL_KEY) or {}).get("config", {}).get("optimizer") or {}
        if self.changed and any(before.get(key) != self.optimizer.get(key) for key in ("_target_", "name")):
            checkpoint["optimizer_states"] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After all was restored."""
        _begin_next_epoch(trainer)
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        if data.moved is not None and data.moved.shift:
            current = trainer.fit_loop.epoch_loop.batch_progress.current
            for name in ("ready", "started", "processed", "completed"):
                setattr(current, name, getattr(current, name) + data.moved.shift)
        if self.changed:
            assert isinstance(pl_module, Task)
            _renew(trainer, pl_module, self._position)


KEPT = ("params", "fused", "foreach")
"""What stays of a restored group: how its steps are computed is the strategy's."""


def _begin_next_epoch(trainer: pl.Trainer) -> None:
    """Take a checkpoint from the end of an epoch for what it is where `max_steps` is set.

    Lightning then takes the epoch for one that has not ended, and counts it once more: the next one would be left out.
    """
    loop: Any = trainer.fit_loop
    if loop.restarted_on_epoch_end and trainer.max_steps != -1:
        assert loop._restarting
        loop._restarting = loop.epoch_loop.restarting = False
        loop.reset_restart_stage()
        loop.epoch_loop.reset_restart_stage()
        loop.epoch_progress.increment_completed()


def _renew(trainer: pl.Trainer, task: Task, position: dict[str, int]) -> None:
    """The groups and the schedule as the configuration has them, at the step of the run."""
    optimizer, _ = task.build_optimizer(task.total_steps())
    groups = trainer.optimizers[0].param_groups
    for group, made in zip(groups, optimizer.param_groups, strict=True):
        group.update({name: value for name, value in made.items() if name not in KEPT})
    schedule: Any = trainer.lr_scheduler_configs[0].scheduler
    vars(schedule).update(position)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch expects to be asked within a step only
        rates = schedule.get_lr()
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate
    schedule._last_lr = list(rates)
