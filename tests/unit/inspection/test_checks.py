import math

import pytest
import torch

from mmdl.inspection.calculus import calculus
from mmdl.inspection.chain_rule import chain_rule
from mmdl.inspection.checks import Check, chain_checks, gradient_checks, jacobian_checks, report_lines
from mmdl.inspection.gradient import gradient
from mmdl.inspection.jacobian import jacobian
from mmdl.inspection.network64 import network64
from mmdl.models.resnet import ResNet
from mmdl.models.timm import TimmClassifier


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("pooling_kind", ["max", "average"])
def test_all_pass_for_the_plain_network(cnn, image, norm, pooling_kind):
    found = calculus(cnn(norm=norm, pooling_kind=pooling_kind), image, 1, label_smoothing=0.1)
    assert len(found.checks) == 10
    assert [check for check in found.checks if not check.passed] == []


def test_all_pass_on_a_flat_image_where_max_pooling_has_kinks(cnn):
    flat = torch.zeros(3, 12, 12, dtype=torch.uint8)
    assert all(check.passed for check in calculus(cnn(), flat, 0).checks)
    network = network64(cnn(), flat, 0, noise=0.0)
    exact = jacobian_checks(network, jacobian(network), gradient(network))
    assert not exact[0].passed  # which is why there is noise


def test_all_pass_for_a_confident_network(cnn, image):
    model = cnn()
    model.layers.fully_connected2.weight.data *= 400
    label = int(model.eval()(image[None]).argmax())
    found = calculus(model, image, label)
    assert found.gradient.loss < 1e-6
    assert [check for check in found.checks if not check.passed] == []


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224"])
def test_other_networks_have_no_chain(name):
    torch.manual_seed(0)
    model = TimmClassifier(name, 3, 32, 3)
    for module in model.modules():
        # timm begins residual branches with a factor of 0, which puts every ReLU after them on its kink
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
    found = calculus(model, torch.randint(0, 256, (3, 32, 32), generator=torch.Generator().manual_seed(0)), 0)
    assert found.chain is None
    assert len(found.checks) == 8
    assert [check for check in found.checks if not check.passed] == []


def test_residual_stages_pass(image):
    torch.manual_seed(0)
    found = calculus(ResNet(3, 4, 9, width=2), image, 0)
    assert len(found.checks) == 10
    assert [check for check in found.checks if not check.passed] == []


def test_a_gradient_with_one_wrong_entry_fails(cnn, image):
    network = network64(cnn(), image, 1)
    right = gradient(network)
    assert all(check.passed for check in gradient_checks(network, right))
    position = int(right.vector.abs().argmax())
    name, offset = next(
        (name, position - start)
        for name, start in zip(
            right.parameters,
            [0, *torch.tensor([p.numel() for p in right.parameters.values()]).cumsum(0).tolist()],
            strict=False,
        )
        if start <= position < start + right.parameters[name].numel()
    )
    right.parameters[name].view(-1)[offset] *= 1.01
    failed = [check.name for check in gradient_checks(network, right) if not check.passed]
    assert failed == ["gradient of the loss, whole vector", "gradient of the loss, single entries"]


def test_a_wrong_jacobian_fails_everywhere(cnn, image):
    network = network64(cnn(), image, 1)
    wrong = jacobian(network)
    wrong = wrong._replace(logits=wrong.logits * 1.0001, softmax=wrong.softmax + 1e-6)
    found = jacobian_checks(network, wrong, gradient(network))
    assert not any(check.passed for check in found)
    tangent = torch.ones(image.numel(), dtype=torch.float64)
    chain = chain_rule(network, wrong.classes, tangent)
    assert not any(check.passed for check in chain_checks(wrong, chain, tangent))


def test_an_error_that_is_no_number_does_not_pass():
    assert not Check("x", math.nan, 1.0, "").passed
    lines = report_lines([Check("x", math.nan, 1.0, ""), Check("longer", 1e-9, 1e-6, "")])
    assert lines == ["FAIL  x       nan >  1e+00", "ok    longer  1.0e-09 <= 1e-06"]
