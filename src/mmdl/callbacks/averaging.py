"""What the averages of the weights share, beyond Lightning's `WeightAveraging`."""

from __future__ import annotations

from itertools import chain

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn

from mmdl.errors import UserError


def state_tensors(module: nn.Module) -> list[Tensor]:
    """Parameters, then buffers, detached; the same order for a module and its copy."""
    return [tensor.detach() for tensor in chain(module.parameters(), module.buffers())]


@torch.no_grad()
def follow(average: nn.Module, module: nn.Module) -> None:
    """Copy all weights into the average: before the first update it is nothing but the model itself.

    Lightning would validate and save the initial weights until then.
    """
    for ours, theirs in zip(state_tensors(average), state_tensors(module), strict=True):
        ours.copy_(theirs)


def refuse_others(callback: WeightAveraging, trainer: pl.Trainer) -> None:
    """Two averages would swap their weights into the model one after the other and save each other's.

    Raises:
        UserError: if the trainer has another average of the weights.
    """
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    others = [c for c in callbacks if isinstance(c, WeightAveraging) and c is not callback]
    if others:
        raise UserError(
            f"both {type(callback).__name__} and {type(others[0]).__name__} average the weights",
            valid="one average of the weights",
            fix="callbacks=[default,ema] or callbacks=[default,swa]",
        )
