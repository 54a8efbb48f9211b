"""Names, groups, job types and tags: chosen by what a run is, unless somebody has chosen."""

import pytest

from mmdl.errors import UserError
from mmdl.runs.wandb_identity import identity

ABOUT = {"experiment": "mnist", "task": "classification", "model": "cnn", "data": "digits", "seed": 3}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("TAGS", "NAME", "RUN_GROUP", "JOB_TYPE", "PROJECT", "SWEEP_ID"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)


def test_by_what_the_run_is():
    found = identity("20261128-101500-mnist-1a2b", **ABOUT)
    assert found == (
        "mmdl",
        "mnist digits seed 3 1a2b",
        "mnist",
        "train",
        ("mnist", "classification", "cnn", "digits"),
    )
    assert identity("mine", **ABOUT).name == "mine"
    assert (
        identity("20261128-101500-mnist-1a2b.eval-test", **ABOUT).name == "mnist digits seed 3 1a2b.eval-test"
    )
    assert identity("x", **ABOUT, quick=True).tags[-1] == "quick"


def test_what_is_given_stays():
    given = {"project": "p", "name": "n", "group": "g", "job_type": "j", "tags": ["t"]}
    assert identity("x", **ABOUT, **given) == ("p", "n", "g", "j", ("t",))
    assert identity("x", **ABOUT, tags=[]).tags == ()


def test_variables_of_w_and_b_count_where_nothing_is_given(monkeypatch):
    for name, value in (
        ("TAGS", "a,b"),
        ("NAME", "n"),
        ("RUN_GROUP", "g"),
        ("JOB_TYPE", "j"),
        ("PROJECT", "p"),
    ):
        monkeypatch.setenv(f"WANDB_{name}", value)
    assert identity("x", **ABOUT) == ("p", "n", "g", "j", ("a", "b"))
    assert identity("x", **ABOUT, group="mine").group == "mine"


def test_a_run_of_an_agent_is_a_trial(monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    found = identity("a1b2c3d4", **ABOUT)
    assert (found.job_type, found.name) == ("sweep", "mnist digits seed 3 a1b2c3d4")


@pytest.mark.parametrize("tag", ["", "t" * 65])
def test_a_tag_that_w_and_b_refuses_is_a_mistake_of_the_user(tag):
    with pytest.raises(UserError, match="tags"):
        identity("x", tags=[tag])
