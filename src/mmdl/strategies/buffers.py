"""Buffers that are the same on every rank when it counts."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from torch.nn.parallel import DistributedDataParallel


@torch.no_grad()
def agree_on_buffers(trainer: pl.Trainer) -> None:
    """Give every rank the first one's buffers, such as the running statistics of batch norms; a collective call.

    Checkpoints hold those of the first rank, so that evaluations use them too. DDP would send them with the first
    batch that a rank evaluates, and wait for ever for a rank that has none.

    Args:
        trainer: With its module.
    """
    if trainer.world_size == 1:
        return
    wrapper = trainer.strategy.model
    if isinstance(wrapper, DistributedDataParallel):
        wrapper.require_forward_param_sync = False  # until the next training step sets it
    for buffer in trainer.lightning_module.buffers():
        torch.distributed.broadcast(buffer, src=0)
