import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mmdl.inspection.network64 import network64


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("label", [0, 3])
def test_the_loss_is_the_cross_entropy_of_training(cnn, image, label, smoothing):
    network = network64(cnn(), image, label, smoothing)
    logits = torch.randn(4, dtype=torch.float64, requires_grad=True)
    expected = cross_entropy(logits[None], torch.tensor([label]), label_smoothing=smoothing)
    torch.testing.assert_close(network.loss(logits), expected, rtol=1e-12, atol=0)
    ours, theirs = (torch.autograd.grad(loss, logits)[0] for loss in (network.loss(logits), expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(ours, logits.softmax(0) - network.targets, rtol=1e-9, atol=1e-12)


def test_a_tiny_loss_keeps_its_digits(cnn, image):
    network = network64(cnn(), image, 1)
    logits = torch.tensor([0.0, 50.0, 1.0, -3.0], dtype=torch.float64)
    expected = (1 + torch.tensor(1.0).exp() + torch.tensor(-3.0).exp()).double() * torch.tensor(
        -50.0
    ).double().exp()
    torch.testing.assert_close(network.loss(logits), expected, rtol=1e-6, atol=0)
    assert cross_entropy(logits, torch.tensor(1)) == 0.0  # what the usual formula makes of it


def test_the_model_is_copied(cnn, image):
    model = cnn()
    model.layers.convolution1.requires_grad_(False)
    network = network64(model, image, 0)
    assert {p.dtype for p in network.model.parameters()} == {torch.float64}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.training
    assert not any(module.training for module in network.model.modules())
    assert "layers.convolution1.weight" not in network.parameters
    assert "layers.fully_connected2.bias" in network.parameters
    assert not any(p.requires_grad for p in network.model.parameters())


def test_the_noise_is_below_the_rounding_of_8_bits_and_always_the_same(cnn, image):
    first, second = (network64(cnn(), image, 0).image for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(first.round().clamp(0, 255).to(torch.uint8), image)
    assert 0.4 < (first - image).abs().max() <= 0.5
    assert torch.equal(network64(cnn(), image, 0, noise=0.0).image, image.double())


def test_nothing_in_it_writes_in_place(cnn, image):
    model = cnn()
    model.layers.relu1 = nn.ReLU(inplace=True)
    network = network64(model, image, 0)
    assert not network.model.layers.relu1.inplace
    assert model.layers.relu1.inplace
