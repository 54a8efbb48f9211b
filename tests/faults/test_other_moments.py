"""Signals at other moments, to other trainings, and several of them."""

import json

import pytest
import torch

from mmdl.runs.logged import quantity

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "run.id=r"),
    *("trainer.max_epochs=2", "data.scenes_train=96", "data.eval_batch_size=20", "callbacks=[default,ema]"),
    *("trainer.log_every_n_steps=3", "model.dropout=0.1"),
)
RANKS = (*WORDS, "trainer.devices=2", "trainer.accelerator=cpu", "data.num_workers=1")
STEP = {"moment": "step"}

LEFT = ("ranks meet", "last step", "validation begins", "evaluators", "saving", "before the test")


@pytest.mark.slow
@pytest.mark.parametrize("moment", LEFT)
def test_other_moments(stopping, tmp_path, moment):
    stopping.check(
        tmp_path, WORDS, {"moment": moment, "group": True, "times": 2}, further=("data.num_workers=2",)
    )


def test_ctrl_c_saves_at_the_next_step(stopping, tmp_path):
    stopping.check(tmp_path, WORDS, STEP | {"number": "SIGINT"})


def test_nothing_interrupts_the_last_save(stopping, tmp_path):
    """Neither another signal nor Ctrl-C, twice."""
    then = ["SIGTERM", "SIGUSR2", "SIGINT", "SIGINT"]
    stopping.check(tmp_path, WORDS, STEP | {"number": "SIGUSR1", "then": then})


@pytest.mark.slow
def test_stopped_three_times_in_a_row(stopping, tmp_path):
    stopping.check(
        tmp_path,
        WORDS,
        STEP | {"number": "SIGUSR1"},
        {"moment": "validation", "skip": 1},
        {"moment": "test", "number": "SIGUSR2"},
    )


@pytest.mark.slow
def test_a_signal_when_all_is_done_changes_nothing(stopping, tmp_path):
    done = stopping.start(tmp_path, WORDS, moment="after the test")
    assert done.code == 0, done.stderr
    assert json.loads((tmp_path / "runs" / "r" / "status.json").read_text())["status"] == "finished"


@pytest.mark.slow
def test_accumulated_gradients_are_stepped_first(stopping, tmp_path):
    """At a signal in the middle of an accumulation."""
    words = (*WORDS, "trainer.accumulate_grad_batches=4", "data.batch_size=16")
    stopping.check(tmp_path, words, {"moment": "accumulation"})


OTHERS = {
    "swa": ("+experiment=vqa", "evaluator=[vqa_accuracy]", "data.scenes_train=96", "callbacks=[default,swa]"),
    "classification": ("+experiment=mnist", "data=digits", "callbacks=[default,ema]", "data.batch_size=64"),
    "contrastive": ("+experiment=clip", "callbacks=[default]"),
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["step", "validation", "encoding"])
@pytest.mark.parametrize("training", OTHERS)
def test_other_trainings(stopping, tmp_path, training, moment):
    if moment == "encoding" and training != "contrastive":
        pytest.skip("its evaluators encode nothing")
    words = ("train", *OTHERS[training], "quick=true", "logger=none", "run.id=r", "trainer.max_epochs=4")
    stopping.check(tmp_path, (*words, "trainer.log_every_n_steps=3"), {"moment": moment, "group": True})


@pytest.mark.slow
def test_a_study_goes_on_with_the_arm_that_was_stopped(stopping, tmp_path):
    words = ("train", "+experiment=descent", "quick=true", "logger=none", "run.id=r")
    for folder, stop in (("whole", {}), ("stopped", {"moment": "validation", "skip": 6})):
        done = stopping.launch(tmp_path / folder, words, "signal_at", **stop)
        if stop:
            assert done.code == stopping.codes["SIGTERM"], done.stderr
            status = json.loads((tmp_path / folder / "runs" / "r" / "status.json").read_text())
            assert status["status"] == "preempted"
            done = stopping.launch(tmp_path / folder, ("train", "resume=r"), "signal_at")
            assert "has finished before" in done.stderr
        assert done.code == 0, done.stderr
    found = [(tmp_path / folder / "batches.0").read_text() for folder in ("whole", "stopped")]
    assert found[0] == found[1]
    one, other = (
        json.loads((tmp_path / folder / "runs" / "r" / "summary.json").read_text())
        for folder in ("whole", "stopped")
    )
    for name in one.keys() | other.keys():
        assert quantity(name).measured or one[name] == other[name], name


TWO_RANKS = {
    "first rank only": STEP,
    "second rank only": STEP | {"on_rank": 1},
    "all processes": STEP | {"group": True},
    "second rank, before the ranks meet": {"moment": "start-up", "on_rank": 1},
    "validation": {"moment": "validation", "skip": 1, "on_rank": 1},
    "evaluators": {"moment": "evaluators"},
    "test": {"moment": "test", "on_rank": 1},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", TWO_RANKS)
def test_two_ranks(stopping, tmp_path, case):
    stopping.check(tmp_path, RANKS, TWO_RANKS[case], ranks=2)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["validation", "test"])
def test_one_rank_has_a_batch_more(stopping, tmp_path, moment):
    """The ranks ask each other after each batch that all have, and the signal comes in the last of the first rank."""
    words = (*RANKS, "data.eval_batch_size=48")  # three batches of the 144 questions
    stop = {"moment": moment, "skip": 1, "agree_every": 0.0, "timeout": 200}
    stopping.check(tmp_path, words, stop, ranks=2)


LIGHTNING = {
    "first rank only": STEP,
    "all processes": STEP | {"group": True},
    "validation": {"moment": "validation", "skip": 1},
    "Ctrl-C": STEP | {"group": True, "number": "SIGINT"},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", LIGHTNING)
def test_the_second_rank_is_started_by_lightning(stopping, tmp_path, case):
    """It leaves with the first, which waits for it."""
    expected = stopping.whole(RANKS, 2)
    stopping.stopped(tmp_path, RANKS, timeout=900, **LIGHTNING[case])
    done = stopping.start(tmp_path, ("train", "resume=r"), timeout=900)
    assert done.code == 0, done.stderr
    assert not done.left
    found = stopping.read(tmp_path)
    assert [name for name, value in expected[0].items() if not torch.equal(value, found[0][name])] == []
    assert found[1:4] == expected[1:4]
    assert found[4] == expected[4][:1], "the patch is in the first rank"


@pytest.mark.parametrize(
    "words", [WORDS, pytest.param(RANKS, marks=pytest.mark.slow)], ids=["one rank", "two ranks"]
)
def test_ctrl_c_twice_stops_at_once(stopping, tmp_path, words):
    """The last checkpoint is there, here that of the first epoch, and no process is left."""
    done = stopping.start(tmp_path, words, moment="second epoch", number="SIGINT", times=2, timeout=900)
    assert done.code == 130, done.stderr
    assert not done.left
    assert done.stderr.splitlines()[-1] == "interrupted"
    run = tmp_path / "runs" / "r"
    assert json.loads((run / "status.json").read_text())["status"] == "stopped"
    assert len(list((run / "checkpoints").glob("last-*.ckpt"))) == 1
    done = stopping.start(tmp_path, ("train", "resume=r"), timeout=900)
    assert done.code == 0, done.stderr
    expected = stopping.whole(words, 2 if words is RANKS else 1)
    assert stopping.read(tmp_path)[1:4] == expected[1:4]


@pytest.mark.slow
def test_wandb_goes_on_under_the_same_id(stopping, tmp_path):
    """A signal to all processes does not reach W&B's service, which is told of the preemption."""
    words = tuple(word for word in WORDS if word != "logger=none")
    stopping.check(tmp_path, words, STEP | {"group": True})
    folders = sorted((tmp_path / "runs" / "r" / "wandb").glob("offline-run-*"))
    assert len(folders) == 2
    assert {folder.name.rpartition("-")[2] for folder in folders} == {"r"}
