"""The pairs of all ranks, with gradients back to the rank that encoded them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmdl.losses.pairs import Pairs
from mmdl.runs.host_group import host_group


def gathered(pairs: Pairs) -> Pairs | None:
    """The pairs of all ranks, in the order of the ranks; all ranks must call it.

    Each rank takes the loss of its own rows against these. The gradient of a rank's embeddings is the sum over what
    they do to the losses of all ranks. Strategies of data parallelism average gradients over the ranks, so `W` times
    a rank's part of the joined loss, with `W` ranks, gives the gradient of one process on the joined batch for the
    encoders and the temperature alike (open_clip's `local_loss` with `gather_with_grad`; its other settings give a
    wrong scale, or a wrong direction).

    Args:
        pairs: Of this rank; ranks may hold different numbers of images and of captions.

    Returns:
        All pairs; None where there is one process only.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return None
    sizes = _sizes(len(pairs.image), len(pairs.text))  # (image, text) of each rank
    most_images, most_texts = (max(size) for size in zip(*sizes, strict=True))
    features = torch.cat([_padded(pairs.image, most_images), _padded(pairs.text, most_texts)])
    ids = torch.cat([_padded(pairs.image_ids, most_images), _padded(pairs.caption_ids, most_texts)])
    all_features: Tensor = _AllGather.apply(features)  # (W, most_images + most_texts, D)
    all_ids = _all_gather(ids)  # (W, most_images + most_texts)

    def joined(values: Tensor, start: int, which: int) -> Tensor:
        return torch.cat([own[start : start + size[which]] for own, size in zip(values, sizes, strict=True)])

    return Pairs(
        joined(all_features, 0, 0),
        joined(all_features, most_images, 1),
        joined(all_ids, 0, 0),
        joined(all_ids, most_images, 1),
    )


def _padded(values: Tensor, size: int) -> Tensor:
    return F.pad(values, (0, 0) * (values.ndim - 1) + (0, size - len(values)))


def _sizes(images: int, texts: int) -> list[tuple[int, int]]:
    """The numbers of all ranks, over the host: to read them from an accelerator would wait for its last step."""
    own = torch.tensor([images, texts])
    found = own.new_empty(dist.get_world_size() * 2)
    dist.all_gather_into_tensor(found, own, group=_host_group(dist.group.WORLD))
    return [(int(pair[0]), int(pair[1])) for pair in found.view(-1, 2)]


@lru_cache(maxsize=1)
def _host_group(world: Any) -> Any:
    """The group whose collectives take tensors of the host."""
    return world if "cpu:gloo" in dist.get_backend_config(world) else host_group()


def _all_gather(own: Tensor) -> Tensor:
    found = own.new_empty(dist.get_world_size() * len(own), *own.shape[1:])
    dist.all_gather_into_tensor(found, own.contiguous())
    return found.unflatten(0, (dist.get_world_size(), len(own)))


class _AllGather(torch.autograd.Function):
    """`(N, D)` of this rank -> `(W, N, D)` of all; each rank gets the sum of all ranks' gradients of its own."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        return _all_gather(own)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        own = torch.empty_like(gradient[0])
        dist.reduce_scatter_tensor(own, gradient.flatten(0, 1).contiguous())
        return own
