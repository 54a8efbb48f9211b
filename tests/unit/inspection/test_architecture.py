import pytest
import torch
from torch import nn

from mmdl.inspection.architecture import Stage, architecture, architecture_table
from mmdl.models.airbench import Airbench
from mmdl.models.cnn import CNN
from mmdl.models.resnet import ResNet
from mmdl.models.timm import TimmClassifier

MODELS = {
    "cnn": lambda: CNN(3, 32, 10),
    "resnet9": lambda: ResNet(3, 10, 9, width=8),
    "resnet18": lambda: ResNet(3, 10, 18, width=8),
    "airbench": lambda: Airbench(3, 32, 10, widths=[8, 16, 16]),
    "timm": lambda: TimmClassifier("resnet10t", 3, 32, 10),
    "vit": lambda: TimmClassifier("vit_tiny_patch16_224", 3, 32, 10),
}


def test_the_table_of_the_plain_network_by_hand():
    rows = architecture(CNN(1, 28, 10, channels=[4, 8], hidden=[16], norm="none"), (1, 28, 28))
    assert rows == [
        Stage("normalize", "Input normalisation", (1, 28, 28), 0, 0),
        Stage("convolution1", "Convolution", (4, 28, 28), 4 * 9 + 4, 2 * 28 * 28 * 4 * 9),
        Stage("relu1", "ReLU", (4, 28, 28), 0, 0),
        Stage("pooling1", "Pooling", (4, 14, 14), 0, 0),
        Stage("convolution2", "Convolution", (8, 14, 14), 8 * 4 * 9 + 8, 2 * 14 * 14 * 8 * 4 * 9),
        Stage("relu2", "ReLU", (8, 14, 14), 0, 0),
        Stage("pooling2", "Pooling", (8, 7, 7), 0, 0),
        Stage("flatten", "Flatten", (392,), 0, 0),
        Stage("fully_connected1", "Fully connected", (16,), 392 * 16 + 16, 2 * 392 * 16),
        Stage("relu_fully_connected1", "ReLU", (16,), 0, 0),
        Stage("fully_connected2", "Fully connected", (10,), 16 * 10 + 10, 2 * 16 * 10),
        Stage("softmax", "Softmax", (10,), 0, 0),
    ]


@pytest.mark.parametrize("name", MODELS)
def test_the_sums_are_those_of_the_whole_model(name):
    from torch.utils.flop_counter import FlopCounterMode

    model = MODELS[name]()
    rows = architecture(model, (3, 32, 32))
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert sum(row.flops for row in rows) == counter.get_total_flops()
    assert rows[-1] == Stage("softmax", "Softmax", (10,), 0, 0)


def test_a_wrapper_is_shown_as_its_parts():
    rows = architecture(TimmClassifier("resnet10t", 3, 32, 10), (3, 32, 32))
    shapes = {row.name: (row.kind, row.shape) for row in rows}
    assert shapes["backbone.layer4"] == ("Stage of 3 convolutions", (512, 1, 1))
    assert shapes["backbone.act1"] == ("ReLU", (64, 16, 16))
    assert shapes["backbone.global_pool"] == ("Pooling", (512,))
    assert next(iter(shapes)) == "normalize"


def test_what_lies_outside_of_the_stages_has_a_row():
    rows = architecture(TimmClassifier("vit_tiny_patch16_224", 3, 32, 10), (3, 32, 32))
    # class token and position embeddings of 5 tokens
    assert next(row for row in rows if row.name == "(rest)").parameters == 192 + 5 * 192


def test_neither_the_model_nor_the_random_state_changes():
    model = CNN(3, 32, 10, dropout=0.5)
    model.layers.norm1.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    random = torch.get_rng_state()
    architecture(model, (3, 32, 32))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_parameters_that_two_stages_share_count_once():
    model = CNN(3, 32, 10, channels=[8, 8, 8])
    model.layers.convolution3.weight = model.layers.convolution2.weight
    rows = {row.name: row.parameters for row in architecture(model, (3, 32, 32))}
    assert rows["convolution2"] == 8 * 8 * 9
    assert rows["convolution3"] == 0


def test_a_stage_that_is_called_twice_counts_its_operations_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.flatten, self.linear = nn.Flatten(), nn.Linear(16, 16)

        def forward(self, images):
            return self.linear(self.linear(self.flatten(images.float())))

    rows = {row.name: row for row in architecture(Twice(), (1, 4, 4))}
    assert rows["linear"].flops == 2 * 2 * 16 * 16
    assert rows["linear"].parameters == 16 * 16 + 16


def test_the_text_has_a_line_a_stage_and_the_totals():
    lines = architecture_table(architecture(CNN(1, 28, 10), (1, 28, 28))).splitlines()
    assert len(lines) == 1 + 14 + 1
    assert lines[2].split() == ["convolution1", "Convolution", "32", "x", "28", "x", "28", "288", "451,584"]
    assert lines[-1].split() == ["total", "421,738", "8,482,304"]
