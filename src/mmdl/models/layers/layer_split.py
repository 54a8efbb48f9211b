"""Layer groups of a backbone that somebody else wrote."""

from __future__ import annotations

from torch import nn

from mmdl.models.features import LayerGroup


def named_layers(layers: nn.Module) -> list[LayerGroup]:
    """One group a child that has parameters, under its name.

    Args:
        layers: An `nn.Sequential` of named layers, from input to output.

    >>> [group.name for group in named_layers(nn.ModuleDict({"conv": nn.Conv2d(3, 4, 1), "relu": nn.ReLU()}))]
    ['conv']
    """
    return [LayerGroup(name, [layer]) for name, layer in layers.named_children() if list(layer.parameters())]


def split_layers(backbone: nn.Module) -> list[LayerGroup]:
    """Split a backbone into `stem`, its repeated blocks, and `neck`, from input to output.

    Blocks are the elements of every `nn.ModuleList` that is reached without entering another block, and of
    every `nn.Sequential` directly under the backbone; this holds for timm, open_clip and transformers models.
    What is registered before the first block is the stem, what comes after a block is the neck. Parameters
    that are no submodule's (class embedding, positions) go to the stem, projections to the neck.

    Args:
        backbone: Any module whose children are registered from input to output.

    Returns:
        Groups that hold every parameter of `backbone` once; groups without parameters are left out.

    >>> blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    >>> layers = nn.ModuleDict({"conv": nn.Conv2d(3, 4, 1), "blocks": blocks})
    >>> [group.name for group in split_layers(layers)]
    ['stem', 'blocks.0', 'blocks.1']
    """
    stem: list[nn.Module] = []
    blocks: list[LayerGroup] = []
    neck: list[nn.Module] = []
    _visit(backbone, "", stem, blocks, neck)
    groups = [LayerGroup("stem", stem), *blocks, LayerGroup("neck", neck)]
    return [group for group in groups if group.parameters()]


def _visit(
    module: nn.Module, path: str, stem: list[nn.Module], blocks: list[LayerGroup], neck: list[nn.Module]
) -> None:
    for name, parameter in module.named_parameters(recurse=False):
        (neck if "proj" in name else stem).append(nn.ParameterList([parameter]))
    for name, child in module.named_children():
        dotted = f"{path}.{name}" if path else name
        if _is_block_list(child, at_root=not path, name=name):
            blocks += [LayerGroup(f"{dotted}.{i}", [block]) for i, block in child.named_children()]
        elif any(isinstance(inner, nn.ModuleList) and len(inner) > 0 for inner in child.children()):
            _visit(child, dotted, stem, blocks, neck)
        else:
            (neck if blocks else stem).append(child)


def _is_block_list(child: nn.Module, *, at_root: bool, name: str) -> bool:
    if isinstance(child, nn.ModuleList):
        return True
    if not (at_root and isinstance(child, nn.Sequential)) or "stem" in name:
        return False
    layers = [layer for layer in child if list(layer.parameters())]
    return bool(layers) and all(list(layer.children()) for layer in layers)
