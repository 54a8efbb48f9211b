"""Curves in few characters: what the page unpacks is what was logged."""

import numpy as np
import pytest

from mmdl.review.model import Curve
from mmdl.review.page.sections.curves import packed_curve


def curve(values):
    count = len(values)
    return Curve(np.arange(1, count + 1) * 10, np.asarray(values, dtype=float), 1e9 + np.arange(count) * 1.5)


def test_a_short_curve_is_whole():
    packed = packed_curve(curve([0.5, float("nan"), float("inf"), 2.0, 0.123456789]), 100)
    assert np.cumsum(packed["s"]).tolist() == [10, 20, 30, 40, 50]
    assert packed["v"] == [0.5, None, None, 2, 0.12346]
    assert np.cumsum(packed["t"]).tolist() == pytest.approx([1e9, 1e9 + 2, 1e9 + 3, 1e9 + 4, 1e9 + 6])
    assert "m" not in packed
    assert "p" not in packed


def test_a_long_curve_keeps_its_peaks_and_its_mean():
    values = np.random.default_rng(0).lognormal(0, 1, 9000)
    values[4321] = 500.0
    packed = packed_curve(curve(values), 120)
    assert len(packed["v"]) <= 120
    assert max(packed["v"]) == 500
    steps = np.cumsum(packed["s"])
    weights = np.diff(steps, prepend=0)
    # heavy tails: the extremes that were kept lie far above; the means give back the mean of all
    assert np.average(packed["m"], weights=weights) == pytest.approx(values.mean(), rel=1e-3)
    assert np.mean(packed["v"]) > 2 * values.mean()


def test_validations_show_their_points():
    assert packed_curve(curve([1, 2, 3]), 100, validation=True)["p"] == 1
    assert "p" not in packed_curve(curve(range(100)), 200, validation=True)
    assert packed_curve(curve([1]), 100)["p"] == 1


def test_steps_that_fall_are_put_in_order():
    odd = Curve(np.array([10, 30, 20]), np.array([1.0, 3.0, 2.0]), np.array([1.0, float("nan"), 2.0]))
    packed = packed_curve(odd, 100)
    assert np.cumsum(packed["s"]).tolist() == [10, 20, 30]
    assert packed["v"] == [1, 2, 3]
