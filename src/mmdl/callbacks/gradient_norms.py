"""Logs the norm of the gradient of each part of the model."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.optim import Optimizer

from mmdl.optim.norms import total_norm

PREFIX = "gradient_norm"


class GradientNorms(Callback):
    """`gradient_norm/<layer group>` and `gradient_norm/total`, to all loggers, every few optimizer steps.

    It is the gradient that the optimizer gets, before clipping: summed over accumulated batches, averaged over ranks,
    and without the loss scale of float16. Steps in between cost nothing and don't wait for the device.

    Args:
        every_n_steps: Optimizer steps from one measurement to the next.
    """

    def __init__(self, every_n_steps: int = 20) -> None:
        self.every_n_steps = max(1, every_n_steps)
        self._groups: dict[str, list[nn.Parameter]] = {}
        self._norms: dict[str, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look the parts up; a parameter that two of them share counts for the first."""
        seen: set[int] = set()
        self._groups = {}
        for group in pl_module.model.layer_groups():  # type: ignore[union-attr, operator]
            own = [p for p in group.parameters() if id(p) not in seen]
            seen.update(map(id, own))
            self._groups[group.name] = own

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Take the norms on the device; Lightning clips after this."""
        if (trainer.global_step + 1) % self.every_n_steps:
            return
        self._norms = gradient_norms(self._groups)
        scale = loss_scale(trainer, optimizer)
        if scale != 1.0:
            self._norms = {name: norm / scale for name, norm in self._norms.items()}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write what the step took, under the number of that step."""
        if not self._norms:
            return
        figures: dict[str, float] = {f"{PREFIX}/{name}": float(norm) for name, norm in self._norms.items()}
        figures["trainer/global_step"] = trainer.global_step
        self._norms = {}
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)


def gradient_norms(groups: dict[str, list[nn.Parameter]]) -> dict[str, Tensor]:
    """The Euclidean norm of each group's gradient, and that of all together as `total`.

    Args:
        groups: Name -> parameters; a group without any gradient is left out.

    Returns:
        Name -> scalar on the device.

    >>> weight = nn.Parameter(torch.zeros(2))
    >>> weight.grad = torch.tensor([3.0, 4.0])
    >>> gradient_norms({"layer": [weight]})
    {'layer': tensor(5.), 'total': tensor(5.)}
    """
    gradients = {name: [p.grad for p in own if p.grad is not None] for name, own in groups.items()}
    norms = {name: total_norm(own) for name, own in gradients.items() if own}
    if norms:
        norms["total"] = torch.linalg.vector_norm(torch.stack(list(norms.values())))
    return norms


def loss_scale(trainer: pl.Trainer, optimizer: Optimizer) -> float:
    """The factor that is still on the gradients: fused optimizers take float16's loss scale off by themselves."""
    plugin = trainer.precision_plugin
    scaler = plugin.scaler if isinstance(plugin, MixedPrecision) else None
    if scaler is None or not getattr(optimizer, "_step_supports_amp_scaling", False):
        return 1.0
    return float(scaler.get_scale())
