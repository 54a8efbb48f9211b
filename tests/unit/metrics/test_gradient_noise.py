import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from mmdl.metrics.gradient_noise import gradient_noise, noise_scale, per_sample_gradients
from mmdl.models.cnn import CNN


def squared_error(parameters, sample):
    """Half the squared error of w x: its gradient is (w x - y) x."""
    return 0.5 * (parameters["w"] @ sample["x"] - sample["y"]) ** 2


@pytest.fixture
def line():
    """Three samples whose gradients at w = (1, 0) can be written down: (1, 2), (0, 0), (-4, 2)."""
    samples = {
        "x": torch.tensor([[1.0, 2.0], [3.0, 1.0], [2.0, -1.0]]),
        "y": torch.tensor([0.0, 3.0, 4.0]),
    }
    return {"w": torch.tensor([1.0, 0.0])}, samples


def test_by_hand(line):
    gradients = per_sample_gradients(squared_error, *line)["w"]
    assert gradients.tolist() == [[1.0, 2.0], [0.0, 0.0], [-4.0, 2.0]]
    # mean (-1, 4/3), |mean|^2 = 25/9; mean |g|^2 = 25/3; variance (25/3 - 25/9) * 3/2 = 25/3
    endless = gradient_noise(squared_error, *line)
    assert endless.trace == pytest.approx(25 / 3)
    assert endless.squared_norm == pytest.approx(25 / 9 - 25 / 9, abs=1e-6)
    whole = gradient_noise(squared_error, *line, population=3)
    assert whole == pytest.approx((2.0, 50 / 9, 25 / 9, 3))


def test_chunks_do_not_change_the_result(line):
    assert gradient_noise(squared_error, *line, population=3, chunk=2) == pytest.approx(
        gradient_noise(squared_error, *line, population=3)
    )


def test_equals_the_two_batch_estimator_of_the_paper():
    """Equations A.2 and A.3 of arXiv:1812.06162 with B_small = 1 and B_big = n."""
    small, big, n = 7.3, 2.1, 40
    squared_norm = (n * big - 1 * small) / (n - 1)
    trace = (small - big) / (1 / 1 - 1 / n)
    found = noise_scale(small, big, n)
    assert found.squared_norm == pytest.approx(squared_norm)
    assert found.trace == pytest.approx(trace)
    assert found.scale == pytest.approx(trace / squared_norm)


def test_both_parts_are_unbiased_for_known_noise():
    """Gradients are G + noise of covariance Sigma: the means over many draws meet |G|^2 and tr(Sigma)."""
    rng = np.random.default_rng(0)
    mean, deviations = np.array([0.3, -0.2, 0.1]), np.array([1.0, 2.0, 0.5])
    found = []
    for _ in range(4000):
        shifts = torch.from_numpy(mean + deviations * rng.standard_normal((10, 3)))
        # the gradient of w . shift by w is the shift
        found.append(
            gradient_noise(lambda p, s: p["w"] @ s["g"], {"w": torch.zeros(3).double()}, {"g": shifts})
        )
    traces, norms = (np.array([getattr(one, name) for one in found]) for name in ("trace", "squared_norm"))
    for values, expected in ((traces, (deviations**2).sum()), (norms, (mean**2).sum())):
        error = values.std() / len(values) ** 0.5
        assert values.mean() == pytest.approx(expected, abs=4 * error)
        assert 4 * error < 0.35 * expected, "the test must be able to see a bias"
    naive = norms + traces / 10  # |mean|^2 as it is
    assert naive.mean() > (mean**2).sum() + 10 * norms.std() / len(norms) ** 0.5
    assert any(norm < 0 for norm in norms)
    assert all(math.isinf(one.scale) for one in found if one.squared_norm <= 0)


def test_a_sample_without_replacement_estimates_the_population():
    rng = np.random.default_rng(1)
    gradients = rng.standard_normal((12, 4)) + 0.5
    trace = gradients.var(0).sum()  # of a uniform draw from the twelve
    norm = (gradients.mean(0) ** 2).sum()
    estimates = []
    for _ in range(20000):
        part = gradients[rng.permutation(12)[:5]]
        estimates.append(noise_scale((part**2).sum(1).mean(), (part.mean(0) ** 2).sum(), 5, population=12))
    for index, expected in ((1, trace), (2, norm)):
        values = np.array([estimate[index] for estimate in estimates])
        assert values.mean() == pytest.approx(expected, abs=4 * values.std() / len(values) ** 0.5)
    exact = noise_scale((gradients**2).sum(1).mean(), norm, 12, population=12)
    assert exact.trace == pytest.approx(trace)
    assert exact.squared_norm == pytest.approx(norm)


def test_the_mean_over_samples_is_the_gradient_of_the_batch():
    torch.manual_seed(0)
    model = CNN(1, 8, 10, channels=[4, 8], hidden=[16], norm="none")
    images, labels = torch.randint(0, 256, (24, 1, 8, 8), dtype=torch.uint8), torch.randint(0, 10, (24,))

    def loss(parameters, sample):
        logits = functional_call(model, dict(parameters), (sample["images"][None],))
        return cross_entropy(logits, sample["labels"][None])

    single = per_sample_gradients(loss, dict(model.named_parameters()), {"images": images, "labels": labels})
    names, parameters = zip(*model.named_parameters(), strict=True)
    whole = torch.autograd.grad(cross_entropy(model(images), labels), parameters)
    sixth = torch.autograd.grad(cross_entropy(model(images[5:6]), labels[5:6]), parameters)
    for name, expected, of_one in zip(names, whole, sixth, strict=True):
        assert single[name].shape == (24, *expected.shape)
        scale = max(1.0, float(of_one.abs().max()))
        torch.testing.assert_close(single[name].mean(0), expected, atol=1e-6 * scale, rtol=1e-5)
        torch.testing.assert_close(single[name][5], of_one, atol=1e-6 * scale, rtol=1e-5)


def test_parameters_are_not_touched(line):
    parameters, samples = line
    weight = nn.Parameter(parameters["w"])
    gradient_noise(squared_error, {"w": weight}, samples)
    assert weight.grad is None
    assert weight.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("n", "population"), [(1, None), (5, 4), (0, None)])
def test_too_few_samples_are_refused(n, population):
    with pytest.raises(ValueError, match=f"{n} samples"):
        noise_scale(1.0, 0.5, n, population)
