"""Score against cost: what is drawn, and which runs lack a figure."""

import pytest

from mmdl.review.model import Entrant, Review, RunView
from mmdl.review.page.sections.cost import section


def test_the_mean_over_seeds_is_drawn_with_its_deviation(tmp_path):
    entrant = Entrant(
        "a",
        ["x", "y"],
        metric="m",
        values=[0.5, 0.7],
        mean=0.6,
        deviation=0.1,
        seconds=[10.0, 30.0],
        samples=[None, 5.0],
    )
    baseline = Entrant("b", ["x"], baseline="prior", metric="m", mean=0.1, seconds=[1.0])
    found = section(Review([RunView(tmp_path, "x", mode="min")], [entrant, baseline]))
    [point] = found.data["points"]
    assert (point["low"], point["high"]) == pytest.approx((0.5, 0.7))
    assert point["mode"] == "min"
    assert (point["seconds"], point["samples"], point["flops"]) == (20, 5, None)
    assert "No run says its FLOPs of the training." in found.html


def test_runs_without_a_figure_are_named():
    entrants = [
        Entrant("a", ["a"], metric="m", mean=0.5, seconds=[10.0], samples=[3.0], flops=[1e9]),
        Entrant("b", ["b"], metric="m", seconds=[float("nan")], samples=[0.0], flops=[]),
    ]
    found = section(Review([], entrants))
    for words in ("Without training time: b.", "Without samples seen: b.", "Without a score: b."):
        assert words in found.html
    assert [point["label"] for point in found.data["points"]] == ["a"]


def test_nothing_to_draw_is_said():
    found = section(Review([], []))
    assert "No run has both a score and a cost." in found.html
    assert found.data is None
