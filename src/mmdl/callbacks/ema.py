"""The exponential moving average of the weights, at the cost of one kernel a step."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mmdl.callbacks.averaging import follow, refuse_others, state_tensors
from mmdl.errors import UserError


class EMA(WeightAveraging):
    """Keeps `average = d * average + (1 - d) * weights`; validation, test and saved weights are the average.

    Lightning's `EMAWeightAveraging` loops over the parameters in Python (58 times as long for a small CNN, 20 times for
    a ResNet-18, measured on the CPU), waits for the device in each step, and leaves the average in main memory when
    the model moves to a GPU. Here all floating-point parameters and buffers are averaged by one call on their device;
    integer buffers are copied.

    Args:
        decay: `d` of one update, in [0, 1).
        warmup: Let the decay rise as `min(decay, (1 + n) / (10 + n))` over the updates `n` (as TensorFlow and timm
            do), so that the first weights are forgotten early.
        update_every_n_steps: Optimizer steps from one update to the next.
        update_starting_at_step: First optimizer step that counts; None for the first of all. Until then the model
            itself is validated and saved.

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(
        self,
        decay: float = 0.999,
        warmup: bool = True,
        update_every_n_steps: int = 1,
        update_starting_at_step: int | None = None,
    ) -> None:
        super().__init__(use_buffers=True)
        if not 0 <= decay < 1:
            raise UserError(
                f"callbacks.ema.decay={decay}", valid="a number in [0, 1)", fix="callbacks.ema.decay=0.999"
            )
        if update_every_n_steps < 1:
            raise UserError(
                f"callbacks.ema.update_every_n_steps={update_every_n_steps}", valid="1, 2, 3, ..."
            )
        self.decay = decay
        self.warmup = warmup
        self.update_every_n_steps = update_every_n_steps
        self.update_starting_at_step = update_starting_at_step
        self.updates = 0
        """Updates so far, on the host: asking the device would make it wait."""
        self._averages: list[Tensor] = []
        self._currents: list[Tensor] = []
        self._integers: list[tuple[Tensor, Tensor]] = []

    def decay_of(self, update: int) -> float:
        """Decay of the `update`-th update, from 0 on.

        >>> [round(EMA(decay=0.9).decay_of(n), 2) for n in (0, 8, 1000)], EMA(decay=0.9, warmup=False).decay_of(0)
        ([0.1, 0.5, 0.9], 0.9)
        """
        return min(self.decay, (1 + update) / (10 + update)) if self.warmup else self.decay

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Whether the optimizer step `step_idx`, counted from 0, counts."""
        if step_idx is None or step_idx < (self.update_starting_at_step or 0):
            return False
        return step_idx % self.update_every_n_steps == 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Make the average.

        Raises:
            UserError: if there is another average of the weights.
        """
        refuse_others(self, trainer)
        super().setup(trainer, pl_module, stage)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move the average to where the model is now, in its precision, and list the tensors of both."""
        assert self._average_model is not None
        dtype = next((p.dtype for p in pl_module.parameters() if p.is_floating_point()), torch.float32)
        self._average_model.to(pl_module.device, dtype)
        ours, theirs = state_tensors(self._average_model.module), state_tensors(pl_module)
        self._averages = [tensor for tensor in ours if tensor.is_floating_point()]
        self._currents = [tensor for tensor in theirs if tensor.is_floating_point()]
        self._integers = [pair for pair in zip(ours, theirs, strict=True) if not pair[0].is_floating_point()]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the average after an optimizer step; the first update copies the weights."""
        step = trainer.global_step
        if step == self._latest_update_step or not self.should_update(step_idx=step - 1):
            return
        decay = self.decay_of(self.updates) if self.updates else 0.0
        get_ema_multi_avg_fn(decay)(self._averages, self._currents, 0)
        self._latest_update_step = step
        self.updates += 1

    def _settle(self, pl_module: pl.LightningModule) -> None:
        """Bring the average up to date in what the steps leave out, before it is used."""
        assert self._average_model is not None
        if self.updates == 0:
            follow(self._average_model.module, pl_module)
        for average, current in self._integers:
            average.copy_(current)
        self._average_model.n_averaged.fill_(self.updates)

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
