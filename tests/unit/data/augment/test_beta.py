import math

import numpy as np
import pytest
import torch
from scipy import stats

from mmdl.data.augment.beta import symmetric_beta
from mmdl.data.augment.draws import Draws


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 2.0, 8.0, 200.0])
def test_the_distribution_is_beta(alpha):
    values = symmetric_beta(Draws(torch.arange(40_000), 0, 0), alpha)
    assert values.dtype == torch.float32
    assert torch.isfinite(values).all()
    assert values.min() >= 0
    assert values.max() <= 1
    # Away from the ends, where float32 can't tell the values of small alphas apart.
    places = np.array([0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999])
    below = (values.double().numpy()[:, None] < places).mean(0)
    assert np.abs(below - stats.beta(alpha, alpha).cdf(places)).max() < 4 * 0.5 / math.sqrt(40_000)
    if alpha >= 1:
        assert stats.kstest(values.double().numpy(), stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    assert values.mean().item() == pytest.approx(0.5, abs=0.01)
    assert values.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)


def test_two_draws_each():
    draws = Draws(torch.arange(3), 0, 0)
    symmetric_beta(draws, 0.3)
    other = Draws(torch.arange(3), 0, 0)
    other.uniform(2)
    assert torch.equal(draws.uniform(1), other.uniform(1))
