import json

from mmdl.sweeps.record import Sweep
from mmdl.sweeps.report import report, rows_of


def sweep_of(tmp_path, trials, mode="max", monitor="val/accuracy"):
    """A sweep whose trials are (overrides, state, value, test value)."""
    folder = tmp_path / "sweeps" / "lr"
    sweep = Sweep(folder, "lr", "grid", monitor, mode, {}, [f"run.root={tmp_path}"], "")
    for overrides, state, value, test in trials:
        trial = sweep.add(overrides)
        trial.state, trial.value, trial.seconds = state, value, 2.0
        if test is not None:
            run = tmp_path / trial.run
            run.mkdir()
            figure = {"value": test, "n": 9, "ci95": [test - 0.1, test + 0.1]}
            (run / "summary.json").write_text(json.dumps({monitor.replace("val/", "test/"): figure}))
    return sweep


def test_validation_chooses_and_test_is_told_of_the_chosen_one_only(tmp_path):
    trials = [(["lr=1"], "finished", 0.8, 0.99), (["lr=2"], "finished", 0.9, 0.7)]
    text = report(sweep_of(tmp_path, trials), ["+experiment=mnist"], ["importance   lr 100%"])
    lines = text.splitlines()
    assert [line.split()[:3] for line in lines[:3]] == [
        ["run", "lr", "val/accuracy"],
        ["lr-2", "2", "0.9000"],
        ["lr-1", "1", "0.8000"],
    ]
    assert "test         test/accuracy 0.7000 (95% interval 0.6000 to 0.8000)" in text
    assert "0.99" not in text
    assert "python -m mmdl train +experiment=mnist lr=2" in text
    assert lines[-2:] == ["importance   lr 100%", f"compare      python -m mmdl review lr --root {tmp_path}"]


def test_seeds_are_folded_and_the_least_is_best_where_it_is_a_loss(tmp_path):
    values = {("1", 0): 0.4, ("1", 1): 0.6, ("2", 0): 0.25, ("2", 1): 1.25}
    trials = [([f"lr={lr}", f"seed={s}"], "finished", v, v) for (lr, s), v in values.items()]
    sweep = sweep_of(tmp_path, trials, mode="min", monitor="val/loss")
    best, other = rows_of(sweep)
    assert (best.overrides, best.group.mean, best.group.seeds) == (("lr=1",), 0.5, [0, 1])
    assert other.group.mean == 0.75
    text = report(sweep, [], [])
    assert "lr-1 lr-2  1   0.5000 +- 0.1414  2" in text
    assert "test/loss 0.5000 +- 0.1414 (2 seeds)" in text


def test_what_was_pruned_is_no_candidate_and_what_failed_is_said(tmp_path):
    trials = [
        (["lr=1"], "pruned", 0.99, None),
        (["lr=2"], "finished", 0.5, 0.4),
        (["lr=3"], "failed", None, None),
        (["lr=4"], "waiting", None, None),
    ]
    lines = report(sweep_of(tmp_path, trials), [], []).splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["lr-2", "lr-1", "lr-3", "lr-4"]
    assert [line.split()[-1] for line in lines[2:5]] == ["pruned", "failed", "waiting"]
    assert "best         lr=2: val/accuracy 0.5000" in lines


def test_a_sweep_in_which_nothing_has_finished(tmp_path):
    text = report(sweep_of(tmp_path, [(["lr=1"], "failed", None, None)]), [], [])
    assert "best" not in text
    assert "compare      python -m mmdl review lr" in text
