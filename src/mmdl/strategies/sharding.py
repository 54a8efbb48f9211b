"""Spreads a model's weights over the ranks with torch's FSDP2, along its layer groups."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
"""They have no forward, at which weights could be gathered."""


def shard_model(
    model: nn.Module, mesh: DeviceMesh, policy: MixedPrecisionPolicy, reshard_after_forward: bool = True
) -> None:
    """Shard in place: the modules of a layer group are gathered together, all that is left with the root.

    The root holds the parameters that stand beside the modules (class embedding, positions, projections), and those
    that two groups share. Scalars stay whole on every rank: losses use them outside of the model's forward.

    All ranks begin with the values of rank 0. A group at a time is on the device as a whole.

    Args:
        model: Has `layer_groups()`; its `forward` is what training calls.
        mesh: One dimension: the ranks that share the weights.
        policy: In which precision weights are gathered and gradients reduced.
        reshard_after_forward: Free a group's weights after its forward, and gather them again for its backward pass.
    """
    model.to(memory_format=torch.contiguous_format)  # FSDP2 takes no other
    options: dict[str, Any] = {"mesh": mesh, "mp_policy": policy}
    for modules in sharded_modules(model):
        for module in modules:
            _agree(module, mesh)
        fully_shard(
            modules if len(modules) > 1 else modules[0],
            reshard_after_forward=reshard_after_forward,
            ignored_params=replicated(model),
            **options,
        )
    _agree(model, mesh)
    fully_shard(model, ignored_params=replicated(model), **options)


def sharded_modules(model: nn.Module) -> list[list[nn.Module]]:
    """The modules that are gathered at their own forward, those of a layer group together.

    Args:
        model: Before sharding.
    """
    inside = set(model.modules())
    groups = model.layer_groups()  # type: ignore[operator]
    holders = Counter(id(p) for group in groups for p in group.parameters())
    found: list[list[nn.Module]] = []
    for group in groups:
        own = [
            module
            for module in group.modules
            if module in inside
            and not isinstance(module, CONTAINERS)
            and any(p.ndim for p in module.parameters())
            and not any(holders[id(p)] > 1 for p in module.parameters())
        ]
        if own:
            found.append(own)
    return found


def replicated(model: nn.Module) -> set[nn.Parameter]:
    """The parameters that every rank holds whole: scalars.

    >>> replicated(nn.ParameterDict({"scale": torch.ones(()), "weight": torch.ones(2)}))
    {Parameter containing:
    tensor(1., requires_grad=True)}
    """
    return {p for p in model.parameters() if p.ndim == 0}


def is_sharded(model: nn.Module) -> bool:
    """Whether `shard_model` has been applied."""
    return isinstance(model, FSDPModule)


def sync_buffers(model: nn.Module, mesh: DeviceMesh) -> None:
    """Give all ranks the buffers of rank 0, such as running statistics, as DDP does before each forward."""
    for buffer in model.buffers():
        torch.distributed.broadcast(buffer, 0, group=mesh.get_group())


def gather_weights(model: nn.Module) -> None:
    """Hold all weights on every rank until `release_weights`: forwards then need no other rank.

    Evaluation does so, since the ranks may have different numbers of batches.
    """
    assert isinstance(model, FSDPModule)
    model.set_reshard_after_forward(False)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.unshard()


def release_weights(model: nn.Module, reshard_after_forward: bool) -> None:
    """Back to one shard a rank."""
    assert isinstance(model, FSDPModule)
    model.set_reshard_after_forward(reshard_after_forward)
    model.set_reshard_after_forward(
        False, recurse=False
    )  # the root's are needed at once in the backward pass
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    # FSDP2 has noted every forward, and gathers in the next backward pass by these notes: without this, ranks that had
    # different numbers of forwards wait for each other for ever. Gradients that are being accumulated stay.
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    model.reset_iter_state()
    for parameter, gradient in gradients:
        parameter.grad = gradient


@torch.no_grad()
def _agree(module: nn.Module, mesh: DeviceMesh) -> None:
    """Move what is not sharded yet to the device, with the values of rank 0."""
    group, device = mesh.get_group(), torch.device(mesh.device_type)
    if device.type == "cuda":
        device = torch.device("cuda", torch.cuda.current_device())
    for tensor in (*module.parameters(), *module.buffers()):
        if type(tensor) in (nn.Parameter, torch.Tensor):
            tensor.data = tensor.data.to(device)
            torch.distributed.broadcast(tensor.data, 0, group=group)
