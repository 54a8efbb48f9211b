"""Batch statistics of all ranks together, on any device and for shares of any size."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm


def joined_batch_norm(layer: _BatchNorm, values: Tensor) -> Tensor:
    """What the layer gives in training on the joined batch; all ranks call it together.

    torch's own `SyncBatchNorm` needs a GPU.

    Args:
        layer: Its running statistics are updated.
        values: `(N, C, ...)` of this rank.

    Returns:
        `(N, C, ...)` of this rank, normalised by the moments of all ranks.
    """
    dims = [0, *range(2, values.ndim)]
    exact = values.float() if values.element_size() < 4 else values
    count = values.numel() // values.shape[1]
    sums = torch.cat([exact.sum(dims), exact.new_full((1,), count)])
    joined: Tensor = _SumOverRanks.apply(sums)
    total = joined[-1].detach()
    mean = joined[:-1] / total
    centred = exact - _spread(mean, exact)
    variance = _SumOverRanks.apply((centred * centred).sum(dims)) / total
    if layer.track_running_stats:
        _update(layer, mean.detach(), variance.detach() * total / (total - 1).clamp(min=1))
    result = centred * _spread((variance + layer.eps).rsqrt(), exact)
    if layer.weight is not None:
        result = result * _spread(layer.weight, exact)
    if layer.bias is not None:
        result = result + _spread(layer.bias, exact)
    return result.to(values.dtype)


def _spread(values: Tensor, like: Tensor) -> Tensor:
    return values.view(1, -1, *[1] * (like.ndim - 2))


@torch.no_grad()
def _update(layer: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    assert layer.num_batches_tracked is not None
    layer.num_batches_tracked.add_(1)
    share = 1.0 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), share)
    layer.running_var.lerp_(variance.to(layer.running_var.dtype), share)


class _SumOverRanks(torch.autograd.Function):
    """The sum over the ranks; each rank's gradient is the sum of what all of them do with it."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total
