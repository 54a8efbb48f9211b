"""Comparisons that were refused, and those that were not, as they stand on the page."""

from mmdl.review.model import Comparison, Review, RunView, SignificanceTest
from mmdl.review.page.sections.comparison import section


def pair(**changes):
    base = {
        "first": "a",
        "second": "b",
        "first_runs": ["a"],
        "second_runs": ["b"],
        "metric": "test/accuracy",
        "verdict": "v",
    }
    return Comparison(**(base | changes))


def test_a_refused_comparison_says_why_and_shows_no_figure(tmp_path):
    refused = pair(verdict="a and b are not compared", refused="3 items only in a (e.g. 7 <b>)")
    found = section(Review([RunView(tmp_path, "a")], comparisons=[refused])).html
    assert "not compared</span>" in found
    assert found.count("3 items only in a (e.g. 7 &lt;b&gt;)") == 2
    assert "<circle" not in found
    assert "<text" not in found  # an axis without a figure has no labels


def test_figures_tests_and_counts_are_there(tmp_path):
    shown = pair(
        shown=True,
        n=1000,
        clusters=40,
        values=(0.9, 0.8),
        difference=0.1,
        ci95=(0.05, 0.15),
        tests=[SignificanceTest("McNemar, exact", 1e-9, "150 against 50")],
        counts=(150, 50, 750, 50),
        caveats=["one seed"],
    )
    found = section(Review([], comparisons=[shown])).html
    for words in (
        "+0.100",
        "[0.050, 0.150]",
        "difference shown",
        "p &lt; 0.0001",
        "1,000",
        "one seed",
        "75.0%",
    ):
        assert words in found
    assert '<details class="pair" open>' in found


def test_nothing_to_compare_is_said(tmp_path):
    assert "one run without a baseline" in section(Review([RunView(tmp_path, "a")])).html
