import sqlite3
import sys

import pytest

from mmdl.errors import UserError
from mmdl.sweeps.record import Sweep
from mmdl.sweeps.space import dimension
from mmdl.sweeps.study import StudySweep

from .conftest import wait_for

LR = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
STUDY = ("sweep=optuna", LR, "sweep.n_trials=6", "sweep.startup_trials=2")


def test_more_trials_are_drawn_as_if_they_had_been_asked_for_at_once(sweeps, tmp_path):
    assert sweeps.here(*STUDY) == 0
    at_once = sweeps.outcome()
    assert sweeps.started == [f"lr-{n}" for n in range(1, 7)]
    rates = [float(trial.overrides[0].partition("=")[2]) for trial in sweeps.trials]
    assert len(set(rates)) == 6
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    with sqlite3.connect(sweeps.root / "sweeps" / "lr" / "optuna.db") as database:
        states = database.execute("select state from trials").fetchall()
    assert states == [("COMPLETE",)] * 6
    (tmp_path / "again").mkdir()
    again = type(sweeps)(tmp_path / "again", sweeps._monkeypatch)
    sweeps._monkeypatch.chdir(again.folder)
    again.plan(n3={"kill": 1}, n5={"fail": 1})
    assert again.here("sweep=optuna", LR, "sweep.n_trials=3", "sweep.startup_trials=2") == 0
    assert again.here("resume=lr", "sweep.n_trials=6", base=()) == 0
    assert again.outcome() == at_once
    assert [trial.attempts for trial in again.trials] == [1, 1, 2, 1, 2, 1]


@pytest.mark.slow
def test_a_study_that_was_killed_in_a_trial_goes_on_with_that_trial(sweeps, tmp_path):
    assert sweeps.here(*STUDY) == 0
    undisturbed = sweeps.outcome()
    (tmp_path / "again").mkdir()
    again = type(sweeps)(tmp_path / "again", sweeps._monkeypatch)
    sweeps._monkeypatch.chdir(again.folder)
    again.plan(n4={"wait": True})
    process = again.begin(*STUDY)
    wait_for(lambda: (again.root / "lr-4" / "checkpoint").exists())
    process.kill()
    process.communicate()
    (again.folder / "go").touch()
    assert again.here(*STUDY) == 0
    assert again.outcome() == undisturbed
    assert sorted(set(again.started)) == [f"lr-{n}" for n in range(1, 7)]


def test_a_worse_trial_is_pruned(sweeps, capsys):
    sweeps.plan(**{f"n{n}": {"steps": 60} for n in range(1, 9)})
    assert sweeps.here(*STUDY, "sweep.pruner=median", "sweep.sampler=random", "sweep.seed=1") == 0
    states = [trial.state for trial in sweeps.trials]
    assert "pruned" in states[2:]
    assert states[:2] == ["finished"] * 2
    pruned = next(trial for trial in sweeps.trials if trial.state == "pruned")
    assert pruned.value < max(trial.value for trial in sweeps.trials)
    assert len(sweeps.trials) == 6
    assert "pruned" in capsys.readouterr().out


@pytest.mark.slow
def test_failed_trials_are_replaced_until_too_many_have_failed(sweeps, capsys):
    sweeps.plan(n2={"fail": 9})
    assert sweeps.here(*STUDY, "sweep.retries=0") == 2
    assert [trial.state for trial in sweeps.trials] == ["finished", "failed", *["finished"] * 5]
    sweeps.plan(**{f"n{n}": {"fail": 9} for n in range(1, 30)})
    assert sweeps.here("resume=lr", "sweep.n_trials=20", "sweep.max_failed=2", base=()) == 2
    assert [trial.state for trial in sweeps.trials].count("failed") == 2
    assert "2 of 8 trials failed" in capsys.readouterr().err


def test_what_was_trained_before_is_not_trained_again(sweeps, capsys):
    assert sweeps.here("sweep=optuna", "optimizer.lr=0.1,0.01", "sweep.n_trials=5") == 0
    assert len(sweeps.started) == 2
    assert [trial.same_as for trial in sweeps.trials].count(None) == 2
    said = capsys.readouterr()
    assert "not trained again" in said.err
    assert said.out.count("\nlr-") == 2
    assert sweeps.here("resume=lr", "sweep.n_trials=6", base=()) == 0
    assert len(sweeps.started) == 2


@pytest.mark.slow
def test_the_importance_of_keys_is_said_when_there_is_enough_to_say(tmp_path):
    space = [dimension(LR), dimension("optimizer.weight_decay=interval(0,0.1)")]
    sweep = Sweep(tmp_path / "lr", "lr", "optuna", "val/accuracy", "max", {}, [], "")
    sweep.folder.mkdir()
    for number in range(24):
        rate, decay = 10 ** -(1 + number % 6 / 2), number * 7 % 24 / 240
        trial = sweep.add([f"optimizer.lr={rate!r}", f"optimizer.weight_decay={decay!r}"])
        trial.state, trial.value = "finished", 0.9 - 0.1 * (number % 6) + 0.01 * decay
    study = StudySweep()
    study.begin(sweep, space)
    (line,) = study.notes()
    assert line.startswith(("importance   optimizer.lr 9", "importance   optimizer.lr 100"))
    assert "over 24 trials" in line
    del sweep.trials[10:]
    study.begin(sweep, space)
    assert study.notes() == []


def test_without_optuna_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError) as error:
        StudySweep().check([dimension(LR)])
    assert "pip install 'mmdl[sweep]'" in str(error.value)


@pytest.mark.parametrize(
    ("settings", "word", "said"),
    [
        ({"n_trials": 0}, LR, "sweep.n_trials=0"),
        ({}, "seed=0,1", "the luckiest"),
        ({"sampler": "grid"}, LR, "unknown sweep.sampler 'grid'"),
        ({"pruner": "mean"}, LR, "unknown sweep.pruner 'mean'"),
    ],
)
def test_wrong_studies_are_refused(settings, word, said):
    with pytest.raises(UserError, match=said):
        StudySweep(**settings).check([dimension(word)])
