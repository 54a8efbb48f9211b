from __future__ import annotations

import timm
import torch
from torch import nn

from mmdl.models.layers.layer_split import split_layers


def _names(backbone: nn.Module) -> list[str]:
    groups = split_layers(backbone)
    held = [id(p) for group in groups for p in group.parameters()]
    assert sorted(held) == sorted(id(p) for p in backbone.parameters())
    return [group.name for group in groups]


def test_a_resnet_and_a_convnext():
    resnet = _names(timm.create_model("resnet10t", num_classes=0))
    assert resnet == ["stem", "layer1.0", "layer2.0", "layer3.0", "layer4.0"]
    convnext = _names(timm.create_model("test_convnext", num_classes=0))
    assert convnext[0] == "stem"
    assert convnext[1:5] == [f"stages.{i}" for i in range(4)]


def test_parameters_of_no_submodule_stand_in_the_stem_or_as_projection_in_the_neck():
    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.class_embedding = nn.Parameter(torch.zeros(2))
            self.blocks = nn.ModuleList([nn.Linear(2, 2)])
            self.norm = nn.LayerNorm(2)
            self.proj = nn.Parameter(torch.zeros(2, 2))

    backbone = Backbone()
    groups = {group.name: [id(p) for p in group.parameters()] for group in split_layers(backbone)}
    assert groups["stem"] == [id(backbone.class_embedding)]
    assert id(backbone.proj) in groups["neck"]
    assert list(groups) == ["stem", "blocks.0", "neck"]


def test_freezing_a_group_freezes_the_backbone_itself():
    backbone = timm.create_model("test_vit", num_classes=0)
    for module in split_layers(backbone)[0].modules:
        module.requires_grad_(False)
    assert not backbone.cls_token.requires_grad
    assert not backbone.patch_embed.proj.weight.requires_grad
    assert backbone.blocks[0].norm1.weight.requires_grad
