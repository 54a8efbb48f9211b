"""Stochastic weight averaging: the equal average of the weights at the end of the last epochs."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import nn

from mmdl.callbacks.averaging import follow, refuse_others
from mmdl.data.base import DataModule
from mmdl.errors import UserError

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class SWA(WeightAveraging):
    """Averages the weights once an epoch (Izmailov et al. 2018, arXiv:1803.05407).

    The average is taken before the epoch's validation, so that it is what is validated, saved and tested. Statistics
    of batch norms belong to one set of weights; those of the average are measured anew on training batches, as
    `torch.optim.swa_utils.update_bn` does it. Until the average begins, the model itself is validated and saved.

    The average is better than its parts where the learning rate stays high enough for the weights to move about:
    `schedule=constant`, or a `schedule.floor`.

    Args:
        start: Share of the training from which on the weights count, in [0, 1); the last epoch always does.
        batch_norm_batches: Training batches over which the statistics are measured, at most an epoch.

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(self, start: float = 0.75, batch_norm_batches: int = 50) -> None:
        super().__init__(use_buffers=False)
        if not 0 <= start < 1:
            raise UserError(
                f"callbacks.swa.start={start}", valid="a share in [0, 1)", fix="callbacks.swa.start=0.75"
            )
        if batch_norm_batches < 1:
            raise UserError(f"callbacks.swa.batch_norm_batches={batch_norm_batches}", valid="1, 2, 3, ...")
        self.start = start
        self.batch_norm_batches = batch_norm_batches
        self.updates = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Make the average.

        Raises:
            UserError: if there is another average of the weights.
        """
        refuse_others(self, trainer)
        super().setup(trainer, pl_module, stage)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move the average to where the model is now."""
        assert self._average_model is not None
        self._average_model.to(pl_module.device)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Nothing is left to Lightning, whose own updates at the end of an epoch come after its validation."""
        return False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the average after the last batch of an epoch."""
        if not trainer.is_last_batch:
            return
        if trainer.global_step < self.start * pl_module.total_steps():  # type: ignore[operator]
            return
        assert self._average_model is not None
        self._average_model.update_parameters(pl_module)
        self._latest_update_step = trainer.global_step
        self.updates += 1
        self._measure_batch_norms(trainer)

    @torch.no_grad()
    def _measure_batch_norms(self, trainer: pl.Trainer) -> None:
        """Statistics of the average's batch norms: means over training batches, augmented as in training."""
        assert self._average_model is not None
        task = self._average_model.module
        norms = [
            module
            for module in task.modules()
            if isinstance(module, BATCH_NORMS) and module.running_mean is not None
        ]
        if not norms:
            return
        momenta = [norm.momentum for norm in norms]
        task.eval()  # without dropout, as the average will be used
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean of all batches
            norm.train()
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        sampler = data.sampler("train")
        sampler.start = (0, 0)  # not where the run was resumed: the statistics would depend on it
        sampler.set_epoch(trainer.current_epoch)
        for number, batch in enumerate(data.loader("train", sampler)):
            if number == self.batch_norm_batches:
                break
            with trainer.precision_plugin.forward_context():
                task.losses(trainer.strategy.batch_to_device(batch))  # type: ignore[operator]
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            for statistic in (norm.running_mean, norm.running_var):
                assert statistic is not None
                statistic.copy_(trainer.strategy.reduce(statistic.clone(), reduce_op="mean"))

    def _settle(self, pl_module: pl.LightningModule) -> None:
        if self.updates == 0:
            assert self._average_model is not None
            follow(self._average_model.module, pl_module)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the average into the model."""
        if self._average_model is not None:
            self._settle(pl_module)
        super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing: Lightning calls this before the task's own hook, whose evaluators encode with the average too."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the model's own weights back; checkpoints are written after this."""
        super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the model."""
        self._settle(pl_module)
        super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save the average as the model's weights, and the model's own beside them."""
        if self._average_model is not None:
            self._settle(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def state_dict(self) -> dict[str, Any]:
        """Step of the last update, and how many there were."""
        return {**super().state_dict(), "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state."""
        super().load_state_dict(state_dict)
        self.updates = int(state_dict["updates"])
