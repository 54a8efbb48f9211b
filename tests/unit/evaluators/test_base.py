from types import SimpleNamespace

import pytest

from mmdl.evaluators.base import Result, brief_names, qualified

NAMES = ["val/loss", "val/accuracy", "val/auroc", "val/recall/class/1", "train/loss"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", "test/accuracy"),
        ("recall/class/a", "test/recall/class/a"),
        ("baseline/most_common/accuracy", "baseline/most_common/accuracy"),
        ("threshold/best_f1", "threshold/best_f1"),
    ],
)
def test_the_split_stands_before_what_belongs_to_it(name, expected):
    assert qualified(Result(name, 0.5, 1), "test") == expected


def test_without_a_wish_the_line_holds_all_overall_figures():
    names = brief_names([SimpleNamespace(splits=("val",))], NAMES, "val")
    assert names == ["val/loss", "val/accuracy", "val/auroc", "train/loss"]


def test_an_evaluator_can_shorten_the_line():
    names = brief_names([SimpleNamespace(splits=("val",), brief=("accuracy",))], NAMES, "val")
    assert names == ["val/loss", "val/accuracy", "train/loss"]
