import pytest
import torch
from torch import nn

from mmdl.errors import UserError
from mmdl.models.features import LayerGroup
from mmdl.optim.groups import freeze, parameter_groups


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.block, self.head = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 2)

    def layer_groups(self):
        return [
            LayerGroup("image_tower.stem", [self.stem]),
            LayerGroup("image_tower.block", [self.block]),
            LayerGroup("head", [self.head]),
        ]


def test_every_parameter_once_and_no_decay_on_vectors():
    model = Towers()
    groups = parameter_groups(model, 0.1, 0.01)
    ids = [id(p) for group in groups for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    for group in groups:
        assert all((p.ndim >= 2) == (group["weight_decay"] == 0.01) for p in group["params"])


def test_frozen_parameters_are_left_out():
    model = Towers()
    assert freeze(model, ["image_tower*"]) == 2 * 3 + 3 + 3 * 3 + 3
    groups = parameter_groups(model, 0.1, 0.0)
    assert {id(p) for g in groups for p in g["params"]} == {id(p) for p in model.head.parameters()}


def test_scales_and_layer_decay_multiply():
    model = Towers()
    groups = parameter_groups(model, 1.0, 0.0, {"image_tower*": 0.5}, layer_decay=0.1)
    rate = {id(p): g["lr"] for g in groups for p in g["params"]}
    assert rate[id(model.stem.weight)] == pytest.approx(0.05)
    assert rate[id(model.block.weight)] == pytest.approx(0.5)
    assert rate[id(model.head.weight)] == pytest.approx(1.0)


def test_a_pattern_without_a_match_names_the_nearest():
    with pytest.raises(UserError, match="imgae_tower") as caught:
        freeze(Towers(), ["imgae_tower.stem"])
    assert "image_tower.stem" in str(caught.value)


@pytest.mark.parametrize(
    ("last", "learning"), [(0, ["head"]), (1, ["block", "head"]), (2, ["stem", "block", "head"])]
)
def test_only_the_last_groups_of_a_pattern_learn(last, learning):
    model = Towers()
    frozen = freeze(model, [], {"image_tower*": last})
    assert [name for name, part in model.named_children() if part.weight.requires_grad] == learning
    assert frozen == sum(p.numel() for p in model.parameters() if not p.requires_grad)


def test_the_head_alone_learns_and_patterns_add_up():
    model = Towers()
    freeze(model, [], {"*": 1})
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]
    model = Towers()
    freeze(model, ["head"], {"image_tower*": 1})
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["block.weight", "block.bias"]


@pytest.mark.parametrize("count", [3, -1, True, 1.5, None])
def test_a_number_of_groups_that_can_not_be_names_them(count):
    with pytest.raises(UserError, match=r"task.train_last: 'image_tower\*' matches 2 parts") as error:
        freeze(Towers(), [], {"image_tower*": count})
    assert error.value.valid == "0 to 2; from input to output: image_tower.stem, image_tower.block"
    with pytest.raises(UserError, match=r"task\.train_last: 'image' matches no part"):
        freeze(Towers(), [], {"image": 1})


def test_the_optimizer_steps_with_the_rates_of_its_groups():
    model = Towers()
    optimizer = torch.optim.SGD(parameter_groups(model, 1.0, 0.0, {"image_tower*": 0.0}), lr=1.0)
    before = model.stem.weight.clone(), model.head.weight.clone()
    model.head(model.block(model.stem(torch.ones(1, 2)))).sum().backward()
    optimizer.step()
    assert torch.equal(model.stem.weight, before[0])
    assert not torch.equal(model.head.weight, before[1])


def test_hidden_are_the_matrices_between_the_first_and_the_last_layer_but_embeddings():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(5, 3)
            self.parts = nn.ModuleList(nn.Linear(3, 3) for _ in range(6))

        def layer_groups(self):
            names = [
                "image_tower.stem",
                "image_tower.block",
                "question_tower.words",
                "question_tower.rnn",
                "head",
            ]
            modules = [[self.parts[0]], [self.parts[1]], [self.words, self.parts[2]], [self.parts[3]]]
            return [LayerGroup(n, m) for n, m in zip(names, [*modules, [self.parts[4]]], strict=True)] + [
                LayerGroup("classifier", [self.parts[5]])
            ]

    model = Model()
    for decay_vectors in (False, True):
        groups = parameter_groups(model, 0.1, 0.01, decay_vectors=decay_vectors)
        hidden = {id(p) for group in groups if group["hidden"] for p in group["params"]}
        assert hidden == {id(model.parts[place].weight) for place in (1, 3, 4)}
        ids = [id(p) for group in groups for p in group["params"]]
        assert sorted(ids) == sorted(id(p) for p in model.parameters())


def test_layer_decay_runs_through_a_model_of_one_tower():
    from mmdl.models.cnn import CNN

    groups = parameter_groups(CNN(1, 28, 10), 1.0, 0.1, layer_decay=0.5)
    rates = {name: group["lr"] for group in groups for name in group["name"].split("+")}
    assert rates["fully_connected2"] == 1.0
    assert rates["fully_connected1"] == 0.5
    assert rates["convolution2"] == 0.25
    assert rates["convolution1"] == rates["convolution1.vectors"] == 0.125
