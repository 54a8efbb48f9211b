import pytest
import torch

from mmdl.inspection import jacobian as module
from mmdl.inspection.jacobian import jacobian, softmax_jacobian
from mmdl.inspection.network64 import network64


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_it_is_the_jacobian_of_torchs_own_reference(cnn, image, norm):
    network = network64(cnn(norm=norm), image, 0)
    found = jacobian(network)
    expected = torch.autograd.functional.jacobian(network.logits, network.image).reshape(4, -1)
    assert found.logits.shape == (4, 3 * 12 * 12)
    torch.testing.assert_close(found.logits, expected, rtol=1e-12, atol=1e-15)
    expected = torch.autograd.functional.jacobian(lambda x: network.logits(x).softmax(0), network.image)
    torch.testing.assert_close(found.probabilities, expected.reshape(4, -1), rtol=1e-10, atol=1e-15)


def test_the_softmax(cnn, image):
    network = network64(cnn(), image, 0)
    found = jacobian(network)
    probabilities = network.logits(network.image).softmax(0)
    expected = torch.diag(probabilities) - probabilities[:, None] * probabilities[None, :]
    torch.testing.assert_close(softmax_jacobian(probabilities), expected, rtol=0, atol=0)
    torch.testing.assert_close(found.softmax, expected, rtol=0, atol=1e-15)
    torch.testing.assert_close(expected.sum(1), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-15)


def test_singular_values(cnn, image):
    found = jacobian(network64(cnn(), image, 0))
    # their squares are the eigenvalues of J J^T
    squares = torch.linalg.eigvalsh(found.logits @ found.logits.T).flip(0)
    torch.testing.assert_close(found.singular_values**2, squares, rtol=1e-8, atol=1e-20)


def test_of_many_classes_the_most_probable_rows_are_computed(cnn, image, monkeypatch):
    network = network64(cnn(), image, 0)
    whole = jacobian(network)
    monkeypatch.setattr(module, "MOST_ENTRIES", 2 * 432 + 5)
    part = jacobian(network)
    top = network.logits(network.image).topk(2).indices.sort().values
    assert torch.equal(part.classes, top)
    torch.testing.assert_close(part.logits, whole.logits[top])
    assert part.probabilities is None
    assert part.num_classes == 4
