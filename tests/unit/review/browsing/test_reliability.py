"""Bins without torch, equal to those of the evaluation."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from mmdl.metrics.calibration_error import calibration_error, reliability_bins
from mmdl.review.browsing.reliability import reliability, wilson


@pytest.mark.parametrize("bins", [2, 10, 15])
@pytest.mark.parametrize("seed", [0, 1])
def test_equal_to_the_metric(bins, seed):
    drawn = np.random.default_rng(seed)
    confidence = np.concatenate([drawn.random(500), [0.0, 1.0, 0.5, 0.2, 0.4]])
    right = drawn.random(505) < confidence**2
    found, expected = (
        reliability(confidence, right.astype(np.float64), bins),
        reliability_bins(confidence, right, bins),
    )
    np.testing.assert_array_equal(found.samples, expected.samples)
    np.testing.assert_allclose(found.edges[:-1], expected.low, atol=1e-15)
    np.testing.assert_allclose(found.confidence, expected.confidence, rtol=1e-12)
    np.testing.assert_allclose(found.accuracy, expected.accuracy, rtol=1e-12)
    assert found.error == pytest.approx(calibration_error(confidence, right, bins), abs=1e-7)
    assert found.n == 505


def test_wilson_is_that_of_statsmodels():
    counts, n = np.array([0, 3, 10, 7]), np.array([10, 10, 10, 50])
    low, high = wilson(counts / n, n)
    expected = proportion_confint(counts, n, method="wilson")
    np.testing.assert_allclose(low, expected[0], atol=1e-12)
    np.testing.assert_allclose(high, expected[1], atol=1e-12)
    assert np.isnan(wilson(np.array([np.nan]), np.array([0]))[0]).all()
