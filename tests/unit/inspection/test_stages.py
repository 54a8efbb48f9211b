import torch
from torch import nn

from mmdl.inspection.stages import kind_of, stages
from mmdl.models.airbench import Airbench
from mmdl.models.cnn import CNN
from mmdl.models.resnet import ResNet
from mmdl.models.timm import TimmClassifier


def test_a_sequence_of_layers_composes_to_the_network(image):
    for model in (CNN(3, 12, 4), ResNet(3, 4, 9, width=4), Airbench(3, 16, 4, widths=[4, 4, 4])):
        found = stages(model.eval())
        assert found.composed
        value = (
            torch.nn.functional.pad(image, (0, 4, 0, 4))[None] if isinstance(model, Airbench) else image[None]
        )
        expected = model(value)
        for module in found.modules.values():
            value = module(value)
        assert torch.equal(value, expected)


def test_other_models_are_their_children_without_wrappers_and_identities():
    found = stages(TimmClassifier("resnet10t", 3, 32, 10))
    assert not found.composed
    assert "backbone.layer1" in found.modules
    assert not any(isinstance(module, nn.Identity) for module in found.modules.values())
    blocks = [
        name for name in stages(TimmClassifier("vit_tiny_patch16_224", 3, 32, 10)).modules if "blocks" in name
    ]
    assert blocks == [f"backbone.blocks.{number}" for number in range(12)]


def test_kinds_have_the_names_of_the_course():
    kinds = [kind_of(module) for module in CNN(3, 12, 4, dropout=0.1).layers]
    assert [kind for kind in kinds if kind not in ("Batch norm", "Dropout")] == [
        "Input normalisation",
        *("Convolution", "ReLU", "Pooling") * 2,
        "Flatten",
        *("Fully connected", "ReLU", "Fully connected"),
    ]
