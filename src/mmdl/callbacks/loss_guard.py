"""Stops a run whose loss is no longer finite, before the weights are touched, and keeps what is needed to see why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mmdl.errors import UserError


class LossGuard(Callback):
    """Raises on a NaN or infinite loss, names the batch and saves a snapshot.

    On the CPU the loss is looked at before the backward pass. On an accelerator that would make it wait for the
    device in every step, so the loss of the step before is looked at: its weights have taken one bad step by then,
    and no checkpoint of them is kept.

    Args:
        folder: Where the snapshot goes.
        every_n_steps: Look at every n-th step.
    """

    def __init__(self, folder: str, every_n_steps: int = 1) -> None:
        self.folder = Path(folder)
        self.every_n_steps = max(1, every_n_steps)
        self._batch: Any = None
        self._index = -1
        self._pending: tuple[Tensor, Any, int] | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch."""
        self._batch, self._index = batch, batch_idx

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Look at the loss."""
        if self._index % self.every_n_steps:
            return
        current = (loss.detach(), self._batch, self._index)
        checked = current if loss.device.type == "cpu" else self._pending
        self._pending = current
        if checked is not None and not bool(torch.isfinite(checked[0])):
            self._stop(trainer, pl_module, *checked)

    def _stop(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor, batch: Any, batch_idx: int
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step={trainer.global_step:08d}-rank={trainer.global_rank}.pt"
        snapshot = {
            "loss": loss.cpu(),
            "batch": {name: value.cpu() for name, value in batch.items()},
            "state_dict": {name: value.cpu() for name, value in pl_module.state_dict().items()},
            "global_step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "batch_idx": batch_idx,
        }
        torch.save(snapshot, path)
        data = trainer.datamodule  # type: ignore[attr-defined]
        described = data.describe("train", batch["rows"].cpu().numpy()) if hasattr(data, "describe") else ""
        broken = [
            name for name, value in pl_module.named_parameters() if not bool(torch.isfinite(value).all())
        ]
        raise UserError(
            f"the loss is {loss.item()} at epoch {trainer.current_epoch}, batch {batch_idx}, step {trainer.global_step}"
            + (f" ({described})" if described else "")
            + (f"; parameters that are not finite: {', '.join(broken[:3])}" if broken else "")
            + f"; batch and weights are in {path}",
            valid="a finite loss",
            fix="optimizer.lr smaller, trainer.gradient_clip_val=1.0, trainer.precision=32-true, or debug=anomaly",
        )
