"""Stops a run whose loss is no longer finite on any rank, or skips the step, on all ranks alike."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal, NamedTuple

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.optim import Optimizer

from mmdl.callbacks.finite_look import FiniteLook
from mmdl.errors import UserError
from mmdl.optim.norms import own_part
from mmdl.runs.agreement import silent_end

OnNotFinite = Literal["stop", "skip"]

MOST_SKIPPED = 10
"""Steps in a row that may be skipped."""

log = logging.getLogger("mmdl")


class _Batch(NamedTuple):
    batch: Any
    number: int
    step: int
    loss: Tensor


class LossGuard(Callback):
    """Takes one decision for all ranks where the loss of any is NaN or infinite, and says which batch of which rank.

    With several ranks a flag is reduced beside the backward pass. On the CPU the decision falls before the optimizer's
    step. On an accelerator that would wait for the device in every step, so the flag of the step before is read: the
    weights have taken one bad step by then, and no checkpoint of them is written. `skip` always waits.

    Args:
        folder: Where the snapshots of the ranks that had it go.
        every_n_steps: Look at every n-th batch.
        on_not_finite: `stop` ends the run on all ranks; `skip` leaves out the optimizer's step (the whole window, where
            gradients are accumulated), also where a gradient is not finite, and stops after `MOST_SKIPPED` in a row.
    """

    def __init__(self, folder: str, every_n_steps: int = 1, on_not_finite: OnNotFinite = "stop") -> None:
        if on_not_finite not in ("stop", "skip"):
            raise UserError(
                f"callbacks.loss_guard.on_not_finite={on_not_finite}", valid="stop or skip", fix="stop"
            )
        self.folder = Path(folder)
        self.every_n_steps = max(1, every_n_steps)
        self.skips = on_not_finite == "skip"
        self.skipped = 0
        """Optimizer steps that were left out."""
        self._in_a_row = 0
        self._spoiled = ""
        self._batch: Any = None
        self._index = -1
        self._pending: tuple[FiniteLook, _Batch] | None = None
        self._buffers: list[tuple[Tensor, Tensor]] = []

    # -- looking ----------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep copies of the buffers, such as the statistics of batch norm: a bad batch has changed them already."""
        if self.skips:
            floating = [buffer for buffer in pl_module.buffers() if buffer.is_floating_point()]
            self._buffers = [(buffer, buffer.clone()) for buffer in floating]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch."""
        self._batch, self._index = batch, batch_idx

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Begin to look at the loss."""
        if self._index % self.every_n_steps:
            return
        if not self.skips:
            self._settle(trainer, pl_module)  # of the step before; on the CPU there is none left
        look = FiniteLook(loss, trainer.world_size)
        self._pending = look, _Batch(self._batch, self._index, trainer.global_step, loss.detach())
        if trainer.world_size == 1 and loss.device.type == "cpu":
            self._settle(trainer, pl_module)

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Decide, where that need not wait for an accelerator."""
        if self.skips or (self._pending is not None and self._pending[1].loss.device.type == "cpu"):
            self._settle(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Decide before the weights are written."""
        self._settle(trainer, pl_module)

    def _settle(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._pending is None:
            return
        look, seen = self._pending
        self._pending = None
        if look.bad():
            found = self._found(trainer, pl_module, seen)
            if not self.skips or self._in_a_row >= MOST_SKIPPED:
                raise self._stop(trainer, found)
            self._spoiled = found

    # -- skipping ---------------------------------------------------------------------------------------------------

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Take the gradients away from a step that is to be skipped: optimizers pass parameters without one over."""
        if not self.skips:
            return
        if not self._spoiled and not self._gradients_finite(trainer, pl_module):
            self._spoiled = f"the gradient of step {trainer.global_step} is not finite, and the loss is"
            if self._in_a_row >= MOST_SKIPPED:
                raise self._stop(trainer, self._spoiled)
        if not self._spoiled:
            self._in_a_row = 0
            for buffer, copy in self._buffers:
                copy.copy_(buffer)
            return
        for parameter in pl_module.parameters():
            parameter.grad = None
        for buffer, copy in self._buffers:
            buffer.copy_(copy)
        self.skipped += 1
        self._in_a_row += 1
        if trainer.is_global_zero:
            log.warning("skipped      step %d: %s", trainer.global_step, self._spoiled)
        self._spoiled = ""

    def _gradients_finite(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> bool:
        if getattr(trainer.precision_plugin, "scaler", None) is not None:
            return True  # float16 overflows now and then, and its scaler skips by itself
        gradients = [own_part(p.grad) for p in pl_module.parameters() if p.grad is not None]
        if not gradients:
            return True
        total = torch.stack(torch._foreach_norm(gradients)).sum()
        return not FiniteLook(total, trainer.world_size).bad()

    def state_dict(self) -> dict[str, Any]:
        """How many steps were skipped."""
        return {"skipped": self.skipped, "in_a_row": self._in_a_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.skipped, self._in_a_row = int(state_dict["skipped"]), int(state_dict["in_a_row"])

    def figures(self) -> dict[str, float]:
        """For the summary, where steps may be skipped."""
        return {"skipped_steps": float(self.skipped)} if self.skips else {}

    # -- saying -----------------------------------------------------------------------------------------------------

    def _found(self, trainer: pl.Trainer, pl_module: pl.LightningModule, seen: _Batch) -> str:
        """What is wrong, on all ranks the same; those that have it keep a snapshot."""
        bad = not bool(torch.isfinite(seen.loss).all())
        own = self._describe(trainer, pl_module, seen) if bad else ""
        parts = [own]
        if trainer.world_size > 1:
            parts = [""] * trainer.world_size
            dist.all_gather_object(parts, own)
            parts = [f"rank {rank}: {part}" for rank, part in enumerate(parts) if part]
        return "; ".join(parts)

    def _describe(self, trainer: pl.Trainer, pl_module: pl.LightningModule, seen: _Batch) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step={seen.step:08d}-rank={trainer.global_rank}.pt"
        if not self.skips or not self.skipped:  # one is enough to see why
            snapshot = {
                "loss": seen.loss.cpu(),
                "batch": {name: value.cpu() for name, value in seen.batch.items()},
                "state_dict": {name: own_part(value).cpu() for name, value in pl_module.state_dict().items()},
                "global_step": seen.step,
                "epoch": trainer.current_epoch,
                "batch_idx": seen.number,
            }
            torch.save(snapshot, path)
        data = trainer.datamodule  # type: ignore[attr-defined]
        described = (
            data.describe("train", seen.batch["rows"].cpu().numpy()) if hasattr(data, "describe") else ""
        )
        named = pl_module.named_parameters()
        broken = [name for name, value in named if not bool(torch.isfinite(own_part(value)).all())]
        return (
            f"the loss is {seen.loss.item()} at epoch {trainer.current_epoch}, batch {seen.number}, step {seen.step}"
            + (f" ({described})" if described else "")
            + (f"; parameters that are not finite: {', '.join(broken[:3])}" if broken else "")
            + (f"; batch and weights are in {path}" if path.exists() else "")
        )

    def _stop(self, trainer: pl.Trainer, found: str) -> BaseException:
        if not trainer.is_global_zero:
            return silent_end(trainer)
        return UserError(
            found + (f"; {self._in_a_row} steps in a row were skipped" if self._in_a_row else ""),
            valid="a finite loss",
            fix="optimizer.lr smaller, trainer.gradient_clip_val=1.0, trainer.precision=32-true, debug=anomaly, or "
            "callbacks.loss_guard.on_not_finite=skip",
        )
