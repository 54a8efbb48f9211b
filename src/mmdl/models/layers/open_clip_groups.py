"""Layer groups of the two towers of an open_clip model."""

from __future__ import annotations

from torch import nn

from mmdl.models.features import LayerGroup
from mmdl.models.layers.layer_split import split_layers


def visual_groups(visual: nn.Module) -> list[LayerGroup]:
    """`stem`, the blocks, `neck` (final norm and projection), and `head` (what open_clip puts on a timm trunk).

    Args:
        visual: `model.visual` of an open_clip model.
    """
    groups = split_layers(getattr(visual, "trunk", visual))
    if hasattr(visual, "trunk"):
        head = LayerGroup("head", [visual.get_submodule("head")])
        groups += [head] if head.parameters() else []
    return groups


def text_groups(text: nn.Module) -> list[LayerGroup]:
    """`stem` (embeddings), the blocks, `neck` (final norm and projection); `projection` of a Hugging Face model.

    Args:
        text: `model.text` of an open_clip model.
    """
    if not hasattr(text, "config"):
        return split_layers(text)
    projection = LayerGroup("projection", [text.get_submodule("proj")])
    return split_layers(text.get_submodule("transformer")) + ([projection] if projection.parameters() else [])
