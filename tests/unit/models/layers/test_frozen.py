from __future__ import annotations

from torch import nn

from mmdl.models.features import LayerGroup
from mmdl.models.layers.frozen import eval_where_frozen


def test_a_tower_without_trained_parameters_is_wholly_in_eval_mode():
    tower = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)).requires_grad_(False).train()
    eval_where_frozen(tower, [LayerGroup("norm", [tower[1]])])
    assert not any(module.training for module in tower.modules())


def test_only_frozen_groups_of_a_trained_tower_are():
    tower = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(), nn.BatchNorm1d(2)).train()
    tower[0].requires_grad_(False)
    eval_where_frozen(tower, [LayerGroup("stem", [tower[0]]), LayerGroup("neck", [tower[2]])])
    assert [module.training for module in tower] == [False, True, True]
