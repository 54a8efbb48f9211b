"""Drawings of intervals: where the ends stand, and that odd values draw nothing."""

import re

import pytest

from mmdl.review.page.axis import Axis, interval, labels


def test_values_stand_where_the_axis_says():
    axis = Axis([0.2, 0.8])
    assert axis.low == pytest.approx(0.164)
    assert axis.high == pytest.approx(0.836)
    drawn = interval(axis, 0.5, (0.2, 0.8))
    assert re.search(r'class="dot" cx="50\.00%"', drawn)
    first, last = re.search(r'class="whisker" x1="([\d.]+)%" x2="([\d.]+)%"', drawn).groups()
    assert float(first) == pytest.approx(100 * 0.036 / 0.672, abs=0.01)
    assert float(last) == pytest.approx(100 - float(first), abs=0.02)
    assert "0.5000, 95% interval 0.2000 to 0.8000" in drawn


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.2, 0.8], [0.2, 0.4, 0.6, 0.8]),
        ([0.5], [0.48, 0.49, 0.5, 0.51, 0.52]),
        ([], [-1, -0.5, 0, 0.5, 1]),
        ([0, 5000], [0, 1000, 2000, 3000, 4000, 5000]),
    ],
)
def test_ticks_are_round(values, ticks):
    axis = Axis(values, zero=not values)
    assert axis.ticks() == pytest.approx(ticks)
    for tick in axis.ticks():
        assert f">{tick:g}<" in labels(axis)


def test_an_axis_of_scores_does_not_leave_0_to_1():
    axis = Axis([0.01, 0.99])
    assert (axis.low, axis.high) == (0, 1)
    assert Axis([-0.1, 0.2], zero=True).low < -0.1


def test_what_is_no_number_draws_nothing():
    nan = float("nan")
    axis = Axis([nan, None, 0.5])
    assert "dot" not in interval(axis, None)
    assert "dot" not in interval(axis, nan)
    assert "whisker" not in interval(axis, 0.5, (nan, 1.0))


def test_what_is_beyond_the_axis_is_an_arrow_at_its_end():
    axis = Axis([0.5, 0.6])
    drawn = interval(axis, 0.1, (0.05, 0.15))
    assert "beyond this axis" in drawn
    assert 'class="beyond left" x="0%"' in drawn
    assert "dot" not in drawn
    assert 'x2="100.00%"' in interval(axis, 0.6, (0.5, 0.9))
