"""The stages of a network: which modules are shown one after the other, and what a textbook calls them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from mmdl.models.layers.normalize import Normalize

KINDS: tuple[tuple[type[nn.Module] | tuple[type[nn.Module], ...], str], ...] = (
    (Normalize, "Input normalisation"),
    (nn.modules.conv._ConvNd, "Convolution"),
    (nn.ReLU, "ReLU"),
    (nn.modules.batchnorm._BatchNorm, "Batch norm"),
    (nn.GroupNorm, "Group norm"),
    (nn.LayerNorm, "Layer norm"),
    (
        (
            nn.modules.pooling._MaxPoolNd,
            nn.modules.pooling._AvgPoolNd,
            nn.modules.pooling._AdaptiveMaxPoolNd,
            nn.modules.pooling._AdaptiveAvgPoolNd,
        ),
        "Pooling",
    ),
    (nn.Flatten, "Flatten"),
    (nn.Linear, "Fully connected"),
    (nn.modules.dropout._DropoutNd, "Dropout"),
)
"""Module class -> name of the kind of stage; the first that fits counts."""

SOFTMAX = "Softmax"

EXPAND_SHARE = 0.8
"""A part that holds so much of the parameters is shown as its own parts: a wrapper says nothing by itself."""


class Stages(NamedTuple):
    """The stages of a model.

    Attributes:
        modules: Name -> module; for a model that is not composed in the order of registration, not of the calls.
        composed: Whether the network is these modules one after the other and nothing else.
    """

    modules: dict[str, nn.Module]
    composed: bool


def stages(model: nn.Module) -> Stages:
    """The stages of a model.

    Those are the parts of its `layers`, where that is an `nn.Sequential`: then the network is their composition. Of
    any other model they are its children; a child that holds nearly all parameters is replaced by its own.

    Args:
        model: Any module.

    >>> stages(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())).composed
    False
    """
    layers = getattr(model, "layers", None)
    if isinstance(layers, nn.Sequential):
        return Stages(dict(layers.named_children()), composed=True)
    total = sum(p.numel() for p in model.parameters())
    return Stages(dict(_expanded(model, "", EXPAND_SHARE * total)), composed=False)


def _expanded(module: nn.Module, prefix: str, most: float) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        count = sum(p.numel() for p in child.parameters())
        has_parts = any(True for _ in child.children())
        if has_parts and (isinstance(child, nn.ModuleList) or count >= most):
            yield from _expanded(child, f"{prefix}{name}.", most)
        elif not isinstance(child, nn.Identity):
            yield f"{prefix}{name}", child


def kind_of(module: nn.Module) -> str:
    """What a textbook calls a module.

    >>> kind_of(nn.MaxPool2d(2)), kind_of(nn.GELU()), kind_of(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
    ('Pooling', 'GELU', 'Stage of 1 convolution')
    """
    for classes, kind in KINDS:
        if isinstance(module, classes):
            return kind
    convolutions = sum(isinstance(part, nn.modules.conv._ConvNd) for part in module.modules())
    if convolutions:
        return f"Stage of {convolutions} convolution{'s' if convolutions > 1 else ''}"
    name = type(module).__name__
    return "Pooling" if "Pool" in name else name
