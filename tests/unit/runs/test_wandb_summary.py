"""The best of a curve: in its direction, over all parts of a run, whatever is not a number."""

import math

import pytest

from mmdl.runs.wandb_summary import MOST_DEFINED, WandbSummary


class Run:
    def __init__(self):
        self.defined = {}

    def define_metric(self, name, **what):
        assert name not in self.defined
        self.defined[name] = what


def test_the_best_stands_whatever_comes_last():
    summary = WandbSummary()
    for accuracy, loss in ((0.5, 2.0), (0.9, 0.5), (0.7, 0.8)):
        last = summary.after({"val/accuracy": accuracy, "val/loss": loss, "epoch": 1.0})
    assert last == {"val/accuracy": 0.9, "val/loss": 0.5}


def test_the_first_part_of_a_run_counts():
    summary = WandbSummary()
    summary.remember(
        [{"step": 1, "time": 5.0, "val/accuracy": 0.9, "val/loss": "nan", "n": {"val/accuracy": 9}}]
    )
    assert summary.after({"val/accuracy": 0.7, "val/loss": 0.8}) == {"val/accuracy": 0.9, "val/loss": 0.8}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_spoils_nothing(bad):
    summary = WandbSummary()
    assert summary.after({"val/loss": bad}) == {}
    summary.after({"val/loss": 0.5})
    assert summary.after({"val/loss": bad}) == {"val/loss": 0.5}


def test_throughput_is_a_mean():
    summary = WandbSummary()
    for value in (10.0, 20.0, 60.0):
        last = summary.after({"train/samples_per_s": value})
    assert last == {"train/samples_per_s": 30.0}


def test_the_mode_of_the_monitor_counts_before_what_is_known_of_its_name():
    assert WandbSummary("val/accuracy", "min").rule("val/accuracy") == "min"


def test_final_figures_stay():
    summary = WandbSummary()
    summary.after({"val/accuracy": 0.9})
    summary.finish(["val/accuracy"])
    assert summary.after({"val/accuracy": 0.95}) == {}


def test_each_name_is_defined_once_and_no_more_than_there_is_room_for():
    summary, run = WandbSummary(), Run()
    for _ in range(2):
        summary.define(run, ["val/loss", "val/accuracy", "train/loss", "trainer/global_step", "val/surprise"])
    assert run.defined == {
        name: {"step_metric": "trainer/global_step", "step_sync": True, "summary": best}
        for name, best in (("val/loss", "min"), ("val/accuracy", "max"))
    }
    summary.define(run, [f"val/zero_shot/{number}/accuracy" for number in range(MOST_DEFINED + 5)])
    assert len(run.defined) == MOST_DEFINED
