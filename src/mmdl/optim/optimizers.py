"""Optimizers by name: any of torch's and any of timm's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from mmdl.errors import UserError, nearest


def torch_optimizer(
    params: list[dict[str, Any]], name: str, lr: float, **options: Any
) -> torch.optim.Optimizer:
    """An optimizer of `torch.optim`.

    Args:
        params: Parameter groups.
        name: Class name, such as `AdamW` or `SGD`.
        lr: Learning rate, per optimizer step.
        **options: The class's own arguments.

    Raises:
        UserError: if torch has no such optimizer, or it takes no such argument.
    """
    names = {
        key: value
        for key, value in vars(torch.optim).items()
        if inspect.isclass(value)
        and issubclass(value, torch.optim.Optimizer)
        and value is not torch.optim.Optimizer
    }
    if name not in names:
        raise UserError(
            f"torch.optim has no optimizer {name!r}", valid=nearest(name, names), fix="optimizer.name=AdamW"
        )
    accepted = inspect.signature(names[name]).parameters
    for option in list(options):
        if option == "weight_decay" and option not in accepted:
            options.pop(option)  # the groups carry it for all optimizers, and this one has none
        elif option not in accepted:
            raise UserError(f"{name} takes no argument {option!r}", valid=nearest(option, accepted))
    make: Callable[..., torch.optim.Optimizer] = names[name]
    return make(params, lr=lr, **options)


def timm_optimizer(
    params: list[dict[str, Any]], name: str, lr: float, **options: Any
) -> torch.optim.Optimizer:
    """An optimizer of timm, such as `lamb` or `adan`.

    Args:
        params: Parameter groups.
        name: timm's name of it.
        lr: Learning rate, per optimizer step.
        **options: Its own arguments.

    Raises:
        UserError: if timm has no such optimizer.
    """
    from timm.optim import create_optimizer_v2, list_optimizers

    names = list_optimizers()
    if name not in names:
        raise UserError(
            f"timm has no optimizer {name!r}", valid=nearest(name, names), fix="optimizer.name=lamb"
        )
    return create_optimizer_v2(params, opt=name, lr=lr, **options)
