import signal
from pathlib import Path

import pytest

from mmdl.commands.ls import main
from mmdl.errors import UserError
from mmdl.runs.sweeps import sweep_runs
from mmdl.sweeps.lock import alone
from mmdl.sweeps.process import is_held
from mmdl.sweeps.progress_lines import ProgressLines

from .conftest import wait_for


def test_a_grid_trains_every_combination_once(sweeps, capsys):
    assert sweeps.here("optimizer.lr=0.1,0.01", "seed=0,1") == 0
    assert sweeps.started == ["lr-1", "lr-2", "lr-3", "lr-4"]
    assert [trial.state for trial in sweeps.trials] == ["finished"] * 4
    assert [trial.value for trial in sweeps.trials] == pytest.approx([0.1, 0.09, 1.0, 0.99])
    assert "+experiment=mnist data=digits logger=none optimizer.lr=0.1 seed=1 run.id=lr-2" in " ".join(
        sweeps.starts[1]["words"]
    )
    assert sweep_runs(sweeps.root / "sweeps" / "lr") == [sweeps.root / f"lr-{n}" for n in (1, 2, 3, 4)]
    out = capsys.readouterr().out
    assert "lr-3 lr-4  0.01" in out
    assert "val/accuracy 0.9950 +- 0.0071" in out
    assert "test/accuracy 0.9950 +- 0.0071 (2 seeds)" in out
    assert "python -m mmdl train +experiment=mnist data=digits logger=none optimizer.lr=0.01 seed=0" in out
    assert "python -m mmdl review lr" in out
    assert main(["sweeps"]) == 0
    assert capsys.readouterr().out == (
        "lr  finished   grid    4 of 4 trials  best val/accuracy 1.0000  lr-3  optimizer.lr=0.01 seed=0\n"
    )


def test_the_same_command_trains_nothing_again_and_more_values_are_added(sweeps):
    sweeps.here("optimizer.lr=0.1,0.01")
    before = sweeps.outcome()
    assert sweeps.here("optimizer.lr=0.1,0.01") == 0
    assert sweeps.started == ["lr-1", "lr-2"]
    assert sweeps.here("optimizer.lr=0.02,0.1,0.01") == 0
    assert sweeps.started == ["lr-1", "lr-2", "lr-3"]
    assert sweeps.outcome()[:2] == before
    assert sweeps.trials[2].overrides == ["optimizer.lr=0.02"]


def test_a_trial_that_is_killed_goes_on_from_its_checkpoint(sweeps):
    sweeps.plan(n2={"kill": 1})
    assert sweeps.here("optimizer.lr=0.1,0.01") == 0
    assert sweeps.started == ["lr-1", "lr-2", "lr-2"]
    assert sweeps.starts[2]["words"][0] == "resume=lr-2"
    assert [trial.attempts for trial in sweeps.trials] == [1, 2]
    assert sweeps.trials[1].value == 1.0


def test_what_fails_does_not_end_the_sweep_and_is_trained_again_by_the_next_start(sweeps, capsys):
    sweeps.plan(n1={"fail": 2})
    assert sweeps.here("optimizer.lr=0.1,0.01") == 2
    said = capsys.readouterr()
    assert "1 of 2 trials failed: lr-1: the loss is not finite" in said.err
    assert "resume=lr" in said.err
    assert "lr-2  0.01" in said.out
    assert [trial.state for trial in sweeps.trials] == ["failed", "finished"]
    assert sweeps.started == ["lr-1", "lr-1", "lr-2"]
    assert sweeps.here("resume=lr", base=()) == 0
    assert capsys.readouterr().err.count("(continued)") == 1
    assert sweeps.started == ["lr-1", "lr-1", "lr-2", "lr-1"]
    assert [trial.state for trial in sweeps.trials] == ["finished", "finished"]


def test_what_is_refused_is_not_tried_again(sweeps):
    sweeps.plan(n1={"refuse": 9})
    assert sweeps.here("optimizer.lr=0.1,0.01", "sweep.retries=3") == 2
    assert sweeps.started == ["lr-1", "lr-2"]
    assert sweeps.trials[0].error == "there is no such file"


@pytest.mark.slow
def test_a_run_without_the_figure_has_failed(sweeps):
    sweeps.plan(n1={"no_value": True})
    assert sweeps.here("optimizer.lr=0.1,0.01") == 2
    assert "no val/accuracy to choose trials by" in sweeps.trials[0].error


def test_trials_at_a_time_share_the_threads_and_gpus_and_inherit_no_rank(sweeps, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("mmdl.sweeps.shares._cpus", lambda: 6)
    sweeps.plan(n1={"steps": 20}, n2={"steps": 20})
    assert sweeps.here("optimizer.lr=0.1,0.01", "--jobs", "2") == 0
    found = {start["run"]: start["environment"] for start in sweeps.starts}
    assert found["lr-1"] == {"OMP_NUM_THREADS": "3", "RANK": None, "CUDA_VISIBLE_DEVICES": "0"}
    assert found["lr-2"]["CUDA_VISIBLE_DEVICES"] == "1"


def test_a_sweep_that_trains_already_is_not_trained_by_another(tmp_path):
    with (
        alone(tmp_path / "lr", writes=True),
        pytest.raises(UserError, match="is being trained by the process"),
        alone(tmp_path / "lr", writes=True),
    ):
        pass
    with alone(tmp_path / "lr", writes=True):
        pass


def test_runs_of_other_origin_are_not_touched(sweeps, capsys):
    other = sweeps.root / "lr-2"
    other.mkdir(parents=True)
    (other / "config.yaml").write_text("seed: 1\n")
    assert sweeps.here("optimizer.lr=0.1,0.01") == 2
    assert "the run 'lr-2' exists" in capsys.readouterr().err
    assert sweeps.started == []
    assert not (sweeps.root / "sweeps" / "lr" / "sweep.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_stops_the_trials_with_a_checkpoint_and_says_how_to_go_on(sweeps, number):
    sweeps.plan(n2={"steps": 4000}, n3={"steps": 4000})
    process = sweeps.begin("optimizer.lr=0.1,0.01,0.02", "sweep.jobs=2")
    wait_for(lambda: all((sweeps.root / f"lr-{n}" / "checkpoint").exists() for n in (2, 3)))
    process.send_signal(number)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + number
    assert "with 1 of 3 trials done; to continue: python -m mmdl sweep resume=lr" in out
    assert [trial.state for trial in sweeps.trials] == ["finished", "interrupted", "interrupted"]
    sweeps.plan()
    assert sweeps.here("resume=lr", base=()) == 0
    assert [start["words"][0] for start in sweeps.starts[3:]] == ["resume=lr-2", "resume=lr-3"]
    assert [trial.state for trial in sweeps.trials] == ["finished"] * 3


def killed_in_the_first_trial(sweeps):
    sweeps.plan(n1={"wait": True})
    process = sweeps.begin("optimizer.lr=0.1,0.01")
    wait_for(lambda: (sweeps.root / "lr-1" / "checkpoint").exists())
    process.kill()
    process.communicate()
    assert sweeps.trials[0].state == "running"


def test_a_killed_sweep_finds_the_trial_that_still_runs(sweeps, monkeypatch):
    killed_in_the_first_trial(sweeps)
    adopted = []
    monkeypatch.setattr(
        ProgressLines,
        "started",
        lambda self, trial, **how: (adopted.append((trial.run, how["adopted"])), Path("go").touch()),
    )
    assert sweeps.here("optimizer.lr=0.1,0.01") == 0
    assert adopted == [("lr-1", True), ("lr-2", False)]
    assert sweeps.started == ["lr-1", "lr-2"]
    assert [(trial.state, trial.attempts) for trial in sweeps.trials] == [("finished", 1), ("finished", 1)]


def test_what_has_finished_after_the_sweep_was_killed_is_not_trained_again(sweeps):
    killed_in_the_first_trial(sweeps)
    (sweeps.folder / "go").touch()
    wait_for(lambda: not is_held(sweeps.root / "sweeps" / "lr" / "locks" / "lr-1.lock"))
    assert sweeps.here("optimizer.lr=0.1,0.01") == 0
    assert sweeps.started == ["lr-1", "lr-2"]
    assert [trial.state for trial in sweeps.trials] == ["finished", "finished"]


@pytest.mark.slow
def test_a_sweep_that_is_killed_again_and_again_comes_to_the_same(sweeps, tmp_path):
    """At moments that are spread over its whole course."""
    words = ("optimizer.lr=0.1,0.01,0.02,0.05", "sweep.jobs=2")
    assert sweeps.here(*words) == 0
    undisturbed = sweeps.outcome()
    (tmp_path / "again").mkdir()
    again = type(sweeps)(tmp_path / "again", sweeps._monkeypatch)
    sweeps._monkeypatch.chdir(again.folder)
    again.plan(**{f"n{n}": {"steps": 12} for n in (1, 2, 3, 4)})
    for count in range(1, 4):
        process = again.begin(*words)
        _wait_for_starts(again, min(4, count + 1))
        process.kill()
        process.communicate()
    assert again.here(*words) == 0
    assert again.outcome() == undisturbed
    assert sorted(set(again.started)) == ["lr-1", "lr-2", "lr-3", "lr-4"]
    assert not list(Path(again.root).rglob(".tmp-sweep*"))


def _wait_for_starts(sweeps, count):
    wait_for(lambda: len(set(sweeps.started)) >= count)
