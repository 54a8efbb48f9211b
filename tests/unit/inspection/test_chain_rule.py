import pytest
import torch

from mmdl.inspection import chain_rule as module
from mmdl.inspection.chain_rule import chain_rule
from mmdl.inspection.differences import random_directions
from mmdl.inspection.jacobian import jacobian
from mmdl.inspection.network64 import network64
from mmdl.models.resnet import ResNet
from mmdl.models.timm import TimmClassifier

ALL = torch.arange(4)


@pytest.mark.parametrize(("most", "how"), [(10**9, "matrix"), (0, "vector-Jacobian products")])
def test_the_product_is_the_jacobian_of_the_network(cnn, image, monkeypatch, most, how):
    monkeypatch.setattr(module, "MOST_MATRIX_ENTRIES", most)
    network = network64(cnn(), image, 0)
    (tangent,) = random_directions(1, image.numel())
    found = chain_rule(network, ALL, tangent)
    assert {link.how for link in found.links} == {how}
    expected = torch.autograd.functional.jacobian(network.logits, network.image).reshape(4, -1)
    torch.testing.assert_close(found.product, expected, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(found.pushed, expected @ tangent, rtol=1e-10, atol=1e-14)


def test_the_product_of_the_matrices_by_hand(cnn, image):
    """Each layer's Jacobian from torch's reference, multiplied one by one."""
    network = network64(cnn(channels=[2], hidden=[]), image, 0)
    value, product = network.image[None], torch.eye(image.numel(), dtype=torch.float64)
    for layer in network.model.layers:
        matrix = torch.autograd.functional.jacobian(layer, value)
        value = layer(value)
        product = matrix.reshape(value.numel(), -1) @ product
    found = chain_rule(network, ALL, torch.ones(image.numel(), dtype=torch.float64))
    torch.testing.assert_close(found.product, product, rtol=1e-10, atol=1e-14)
    assert [(link.rows, link.columns) for link in found.links][:2] == [(432, 432), (2 * 144, 432)]


def test_some_rows_only_and_residual_stages(image):
    torch.manual_seed(0)
    network = network64(ResNet(3, 4, 9, width=2), image, 0)
    whole = jacobian(network)
    found = chain_rule(network, torch.tensor([1, 3]), torch.zeros(image.numel(), dtype=torch.float64))
    torch.testing.assert_close(found.product, whole.logits[[1, 3]], rtol=1e-10, atol=1e-16)


def test_a_network_that_is_no_sequence_has_none(cnn, image):
    zeros = torch.zeros(3 * 32 * 32, dtype=torch.float64)
    network = network64(TimmClassifier("resnet10t", 3, 32, 4), torch.zeros(3, 32, 32), 0)
    assert chain_rule(network, ALL, zeros) is None
    model = cnn()
    model.forward = lambda images: model.layers(images) * 2  # more than its layers
    assert chain_rule(network64(model, image, 0), ALL, zeros[:432]) is None
