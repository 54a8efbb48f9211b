"""Frozen layers act as they do at test time."""

from __future__ import annotations

from torch import nn

from mmdl.models.features import LayerGroup


def is_frozen(module: nn.Module) -> bool:
    """Whether `module` has parameters and none of them is trained.

    >>> is_frozen(nn.Linear(2, 2).requires_grad_(False)), is_frozen(nn.ReLU())
    (True, False)
    """
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def eval_where_frozen(tower: nn.Module, groups: list[LayerGroup]) -> None:
    """Put frozen parts into eval mode, so that neither dropout nor batch statistics act there.

    Call it after `tower.train()`. The whole tower where all of it is frozen, else each frozen layer group.

    Args:
        tower: Image or question tower.
        groups: Its `layer_groups()`.
    """
    if is_frozen(tower):
        tower.eval()
        return
    for group in groups:
        if not any(parameter.requires_grad for parameter in group.parameters()):
            for module in group.modules:
                module.eval()
