import pytest
import torch
from torch import nn
from torch.nn import functional

from mmdl.inspection.trace import trace
from mmdl.models.resnet import ResNet
from mmdl.models.timm import TimmClassifier


def test_the_maps_are_those_of_a_forward_pass_by_hand(cnn, image):
    model = cnn(pooling_kind="average").eval()
    layers = dict(model.layers.named_children())
    x = (image[None].float() / 255 - 0.5) / 0.25
    expected = {"normalize": x}
    for stage in ("1", "2"):
        x = functional.conv2d(x, layers[f"convolution{stage}"].weight, padding=1)
        expected[f"convolution{stage}"] = x
        norm = layers[f"norm{stage}"]
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        x = x * scale[:, None, None] + (norm.bias - norm.running_mean * scale)[:, None, None]
        expected[f"norm{stage}"] = x
        x = x.clamp(min=0)
        expected[f"relu{stage}"] = x
        x = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
        expected[f"pooling{stage}"] = x
    x = x.reshape(1, -1)
    expected["flatten"] = x
    x = x @ layers["fully_connected1"].weight.T + layers["fully_connected1"].bias
    expected["fully_connected1"] = x
    expected["relu_fully_connected1"] = x.clamp(min=0)
    logits = x.clamp(min=0) @ layers["fully_connected2"].weight.T + layers["fully_connected2"].bias
    expected["fully_connected2"] = logits

    found = trace(model, image[None])
    assert [layer.name for layer in found.layers] == list(expected)
    for layer in found.layers:
        torch.testing.assert_close(layer.output, expected[layer.name], msg=layer.name)
    torch.testing.assert_close(found.probabilities, logits.softmax(1))
    assert [layer.name for layer in found.map_layers][-1] == "pooling2"


def test_what_is_written_in_place_later_does_not_spoil_the_outputs(image):
    inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.LazyLinear(2))
    model = nn.Module()
    model.layers = inner
    model.forward = lambda images: inner(images.float())
    found = trace(model, image[None])
    torch.testing.assert_close(found.layers[0].output, inner[0](image[None].float()))
    assert (found.layers[0].output < 0).any()
    assert (found.layers[1].output >= 0).all()


@pytest.mark.parametrize(
    "make",
    [lambda: ResNet(3, 4, 18, width=4), lambda: TimmClassifier("resnet10t", 3, 32, 4)],
    ids=["resnet", "timm"],
)
def test_logits_are_the_models_own_in_eval_mode(make):
    model = make()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    found = trace(model, images)
    assert model.training
    torch.testing.assert_close(found.logits, model.eval()(images))
    assert found.images.requires_grad
    assert found.layers[0].name == "normalize"


def test_a_compiled_model_is_looked_into_as_well(cnn, image):
    model = cnn()
    model.compile(backend="eager")
    assert len(trace(model, image[None]).layers) == len(model.layers)


def test_the_model_is_as_it_was(cnn, image):
    model = cnn(dropout=0.5)
    model.layers.norm1.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random, modes = torch.get_rng_state(), [module.training for module in model.modules()]
    found = trace(model, image[None])
    torch.autograd.grad(found.logits.sum(), found.images)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())


def test_networks_with_channels_last_have_no_maps_that_could_be_drawn_wrongly():
    model = TimmClassifier("swin_tiny_patch4_window7_224", 3, 224, 2)
    with torch.no_grad():
        found = trace(model, torch.zeros(1, 3, 224, 224, dtype=torch.uint8))
    assert not found.channels_first
    assert found.map_layers == []
