import pytest
import torch
from torch import nn

from mmdl.models.cnn import CNN
from mmdl.optim.groups import parameter_groups
from mmdl.optim.muon import Muon
from mmdl.optim.rate_names import MOST, rate_names


def group(name, rate, **more):
    return {"name": name, "lr": rate, **more}


def test_equal_rates_need_no_name():
    assert rate_names([group("image_tower.stem", 0.1), group("text_tower.block", 0.1)]) == {}
    assert rate_names([]) == {}


def test_a_tower_stands_for_its_layers():
    groups = [
        group("image_tower.stem+image_tower.stage1", 1e-4),
        group("image_tower.stem.vectors", 1e-4),
        group("text_tower.block", 1e-3),
    ]
    assert rate_names(groups) == {"text_tower": 2, "image_tower": 0}


def test_layers_of_one_tower_with_different_rates_keep_their_names():
    groups = [group("tower.a", 1.0), group("tower.b", 0.5), group("tower.c", 0.5), group("head", 1.0)]
    assert rate_names(groups) == {"tower.a+head": 0, "tower.b+tower.c": 1}


def test_warm_up_does_not_hide_a_difference():
    groups = [group("a", 0.0, initial_lr=1.0), group("b", 0.0, initial_lr=0.1)]
    assert rate_names(groups) == {"a": 0, "b": 1}


@pytest.mark.parametrize("layers", [MOST, MOST + 1, 50])
def test_layer_wise_decay_has_a_bounded_number_of_names(layers):
    groups = [group(f"layer{n}", 0.9 ** (layers - n)) for n in range(layers)]
    found = rate_names(groups)
    assert len(found) == MOST
    assert next(iter(found.items())) == (f"layer{layers - 1}", layers - 1)
    assert list(found.items())[-1] == ("layer0", 0)
    assert all(groups[index]["name"] == name for name, index in found.items())


def test_many_layers_of_one_rate_have_a_short_name():
    groups = [group("+".join(f"layer{n}" for n in range(6)), 1.0), group("head", 2.0)]
    assert rate_names(groups) == {"head": 1, "layer0+5_more": 0}


def test_groups_without_names_are_numbered():
    assert rate_names([{"lr": 1.0}, {"lr": 2.0}]) == {"group1": 1, "group0": 0}


def test_the_two_rates_of_muon():
    optimizer = Muon(parameter_groups(CNN(1, 28, 10), 0.02, 0.01), lr=0.02, adamw_lr=1e-3)
    found = rate_names(optimizer.param_groups)
    assert list(found) == ["matrices", "others"]
    assert optimizer.param_groups[found["matrices"]]["hidden"]
    assert optimizer.param_groups[found["others"]]["lr"] == pytest.approx(1e-3)


def test_every_name_is_of_a_group_with_that_rate():
    model = nn.ModuleDict({"a": nn.Linear(2, 2)})
    optimizer = torch.optim.SGD(
        [{"params": [p], "lr": rate} for p, rate in zip(model.parameters(), (0.1, 0.2), strict=True)]
    )
    for name, index in rate_names(optimizer.param_groups).items():
        assert name == f"group{index}"
