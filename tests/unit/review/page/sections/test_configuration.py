"""Keys that differ and whole configurations, whatever stands in them."""

import re

from mmdl.review.model import Difference, Review, RunView
from mmdl.review.page.sections.configuration import flat, section


def views(path, *names):
    return [RunView(path, name, config={"lr": 0.1}) for name in names]


def test_values_that_most_runs_do_not_have_are_marked(tmp_path):
    review = Review(
        views(tmp_path, "a", "b", "c"), differences=[Difference("lr", {"a": "1", "b": "2", "c": "1"})]
    )
    cells = re.findall(r'<td class="([^"]*)">([^<]*)</td>', section(review).html)
    assert cells == [("mono", "1"), ("mono other", "2"), ("mono", "1")]


def test_a_key_that_a_run_does_not_have_is_said(tmp_path):
    review = Review(views(tmp_path, "a", "b"), differences=[Difference("new", {"a": "1"})])
    assert '<td class="missing">not set</td>' in section(review).html


def test_any_configuration_has_its_lines():
    deep: dict = {}
    inner = deep
    for _ in range(60):
        inner["a"] = {}
        inner = inner["a"]
    assert len(list(flat(deep))) == 1
    assert list(flat({1: [None], "b": {}, "c": "two\nlines", "d": True})) == [
        ("1", "[None]"),
        ("b", "{}"),
        ("c", "two lines"),
        ("d", "true"),
    ]


def test_a_long_value_is_cut(tmp_path):
    review = Review([RunView(tmp_path, "a", config={"text": "x" * 100_000})])
    assert len(section(review).html) < 5000


def test_one_run_and_equal_runs_are_said(tmp_path):
    assert "One run only" in section(Review(views(tmp_path, "a"))).html
    assert "No key that changes what is computed differs" in section(Review(views(tmp_path, "a", "b"))).html
