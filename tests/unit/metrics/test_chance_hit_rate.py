"""The chance of a hit: against scipy's hypergeometric distribution and against a random order."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from mmdl.metrics.chance_hit_rate import chance_hit_rate


@pytest.mark.parametrize("k", [1, 5, 10, 30, 100])
def test_equals_the_hypergeometric_distribution(k):
    right = np.array([1, 1, 5, 0, 29, 30])
    expected = np.mean([1 - hypergeom(30, p, min(k, 30)).pmf(0) for p in right])
    assert chance_hit_rate(right, items=30, k=k) == pytest.approx(expected, rel=1e-12)


def test_equals_what_a_random_order_does():
    rng = np.random.default_rng(0)
    hits = [(rng.permutation(40)[:5] < 4).any() for _ in range(20_000)]
    assert chance_hit_rate(np.array([4]), items=40, k=5) == pytest.approx(np.mean(hits), abs=0.01)


def test_large_galleries_are_exact():
    assert chance_hit_rate(np.array([1]), items=1_000_000, k=10) == pytest.approx(1e-5, rel=1e-9)
