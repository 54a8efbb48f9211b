"""Norms and clipping of gradients, of which some may be spread over ranks and others whole on each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all gradients together, over all ranks; these call it together where there are shards.

    Args:
        gradients: At least one.

    Returns:
        Scalar on the device.

    >>> total_norm([torch.tensor([3.0]), torch.tensor([[4.0]])])
    tensor(5.)
    """
    norms = [whole(get_total_norm(part)) for part in _by_kind(gradients)]
    return norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))


def clip_norm(parameters: Iterable[nn.Parameter], largest: float) -> Tensor:
    """Scale the gradients down where their norm is above the largest; returns the norm from before."""
    with_gradient = [p for p in parameters if p.grad is not None]
    kinds = _by_kind(with_gradient)
    if len(kinds) < 2 and not any(is_shard(p) for p in with_gradient):
        return clip_grad_norm_(with_gradient, largest)
    norm = total_norm([p.grad for p in with_gradient if p.grad is not None])
    for part in kinds:
        clip_grads_with_norm_(part, largest, norm)
    return norm


def clip_values(parameters: Iterable[nn.Parameter], largest: float) -> None:
    """Clamp every component of the gradients to [-largest, largest]."""
    for part in _by_kind([p for p in parameters if p.grad is not None]):
        clip_grad_value_(part, largest)


def is_shard(tensor: Tensor) -> bool:
    """Whether a tensor is spread over ranks (a `DTensor`, whose module is not imported for this)."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """A tensor as it is on one process: gathered where it is spread over ranks, which call this together."""
    gathered: Any = getattr(tensor, "full_tensor", None)
    return tensor if gathered is None else gathered()


def own_part(tensor: Tensor) -> Tensor:
    """What this rank holds of a tensor; no other rank takes part."""
    local: Any = getattr(tensor, "to_local", None)
    return tensor if local is None else local()


def _by_kind(tensors: Sequence[Any]) -> list[list[Any]]:
    """Shards, and what is whole: torch's fused functions don't take them together."""
    kinds: dict[bool, list[Any]] = {}
    for tensor in tensors:
        kinds.setdefault(is_shard(tensor), []).append(tensor)
    return list(kinds.values())
