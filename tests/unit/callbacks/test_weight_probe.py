import pytest
import torch
from torch import nn

from mmdl.callbacks.weight_probe import PER_PARAMETER, WeightProbe


def test_the_change_is_relative_to_the_start_and_by_group():
    one, other = nn.Linear(30, 40), nn.Linear(3, 4)
    probe = WeightProbe({"one": list(one.parameters()), "other": list(other.parameters())})
    assert probe.change() == {"one": 0.0, "other": 0.0}
    with torch.no_grad():
        one.weight.mul_(1.5)
        one.bias.fill_(1e6)
    found = probe.change()
    assert found["one"] == pytest.approx(0.5, rel=1e-5)
    assert found["other"] == 0.0


def test_what_does_not_learn_is_left_out():
    layer = nn.Linear(3, 4).requires_grad_(False)
    assert WeightProbe({"layer": list(layer.parameters())}).change() == {}


def test_large_matrices_are_sampled_evenly_whatever_their_memory_order():
    weight = nn.Parameter(
        torch.arange(100_000.0).reshape(10, 100, 10, 10).to(memory_format=torch.channels_last)
    )
    taken = WeightProbe({"layer": [weight]}).take()["layer"]
    assert len(taken) == PER_PARAMETER
    assert taken[0] == 0
    assert taken[-1] == 99_999
    assert (taken.diff() > 350).all()
