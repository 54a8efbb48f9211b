from __future__ import annotations

from torch import nn

from mmdl.models.features import LayerGroup, prefixed


def test_parameters_of_a_group_come_once():
    layer = nn.Linear(2, 3)
    assert len(LayerGroup("x", [layer, nn.Sequential(layer)]).parameters()) == 2


def test_prefixed_keeps_order_and_modules():
    groups = [LayerGroup("stem", [nn.ReLU()]), LayerGroup("blocks.0", [])]
    named = prefixed("image_tower", groups)
    assert [group.name for group in named] == ["image_tower.stem", "image_tower.blocks.0"]
    assert named[0].modules is groups[0].modules
