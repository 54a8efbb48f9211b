import json
from pathlib import Path

import pytest

from mmdl.cli.arguments import flags_as_overrides
from mmdl.errors import UserError
from mmdl.runs.sweeps import find_sweep, named_sweep, read_sweep, sweep_names, sweep_runs
from mmdl.sweeps.record import Sweep
from mmdl.sweeps.sameness import check_same

NOTHING_MADE = [
    (("optimizer.lrr=1,2",), "unknown config key 'optimizer.lrr'"),
    (("optimizer.lr=fast,1e-3", "seed=0,1"), "optimizer.lr=fast seed=0: optimizer.lr: 'fast' does not fit"),
    (("seed=0,1", "run.id=x", "sweep.jobs=0"), "2 errors"),
    (("resume=lr",), "there is no sweep 'lr'"),
]
MORE = [
    ((), "nothing is swept"),
    (("seed=range(5,5)",), "seed=range(5,5) has no values"),
    (("seed=0,1", "sweep.name=a/b"), "can't name a folder"),
    (("seed=0,1", "sweep=optima"), "unknown sweep 'optima'"),
    (("model=cnn,restnet",), "unknown model 'restnet'"),
    (("seed=0,1", "callbacks=[default,ema,swa]"), "both average the weights"),
]
NOTHING_MADE += [pytest.param(*one, marks=pytest.mark.slow) for one in MORE]


@pytest.mark.parametrize(("words", "said"), NOTHING_MADE)
def test_what_is_wrong_is_said_before_the_first_trial(sweeps, capsys, words, said):
    assert sweeps.here(*words) == 2
    assert said in capsys.readouterr().err
    assert sweeps.started == []
    assert not sweeps.root.exists()


@pytest.mark.slow
def test_trials_that_are_judged_by_different_figures_are_refused(sweeps, capsys):
    assert sweeps.here(base=("+experiment=mnist,vqa", "logger=none")) == 2
    assert "val/accuracy (max) with +experiment=mnist; val/vqa_accuracy" in capsys.readouterr().err


def test_a_dry_run_lists_the_trials_and_makes_nothing(sweeps, capsys):
    assert sweeps.here("optimizer.lr=0.1,0.01", "seed=0,1", "--dry-run") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1:5] == [
        "  lr-1  optimizer.lr=0.1 seed=0",
        "  lr-2  optimizer.lr=0.1 seed=1",
        "  lr-3  optimizer.lr=0.01 seed=0",
        "  lr-4  optimizer.lr=0.01 seed=1",
    ]
    assert out[5].startswith("4 trials; each is: python -m mmdl train +experiment=mnist")
    assert not sweeps.root.exists()


def test_another_definition_under_the_same_name_is_refused_saying_what_differs(sweeps, capsys):
    sweeps.here("optimizer.lr=0.1,0.01")
    assert sweeps.here("optimizer.lr=0.1,0.01", "data.batch_size=32") == 2
    assert "with data.batch_size=32" in capsys.readouterr().err
    assert sweeps.here("optimizer.lr=0.1,0.01", "sweep.jobs=2", "data.num_workers=0", "logger=csv") == 0
    assert sweeps.started == ["lr-1", "lr-2"]


@pytest.mark.slow
def test_a_changed_config_file_beneath_a_sweep_is_named(sweeps, capsys):
    own = sweeps.folder / "conf" / "optimizer" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# Of this test\n_target_: mmdl.optim.optimizers.torch_optimizer\nname: SGD\nlr: 0.1\n")
    words = ("optimizer=mine", "optimizer.lr=0.1,0.01")
    assert sweeps.here(*words) == 0
    own.write_text(own.read_text() + "momentum: 0.9\n")
    assert sweeps.here(*words) == 2
    assert "optimizer.momentum: nothing -> 0.9" in capsys.readouterr().err
    assert sweeps.here(*words, "allow_changes=true") == 0
    assert sweeps.started == ["lr-1", "lr-2"]


def test_resume_takes_the_settings_of_the_course_and_nothing_else(sweeps, capsys):
    sweeps.here("optimizer.lr=0.1,0.01")
    assert sweeps.here("resume=lr", "data.batch_size=8", base=()) == 2
    assert "resume=lr with data.batch_size=8: a sweep goes on as it was defined" in capsys.readouterr().err
    assert sweeps.here("resume=latest", "sweep.jobs=2", "--dry-run", base=()) == 0
    assert "lr-2  finished  optimizer.lr=0.01" in capsys.readouterr().out


@pytest.mark.slow
def test_a_sweep_is_continued_from_another_folder(sweeps, tmp_path, monkeypatch, capsys):
    sweeps.plan(n2={"fail": 2})
    assert sweeps.here("optimizer.lr=0.1,0.01") == 2
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert sweeps.here(f"resume={sweeps.root}/sweeps/lr", base=()) == 0
    assert [trial.state for trial in sweeps.trials] == ["finished", "finished"]
    assert not (elsewhere / "runs").exists()
    assert f"begun in {sweeps.folder}: relative paths" in capsys.readouterr().err


def test_a_space_may_stand_in_a_file(sweeps):
    own = sweeps.folder / "conf" / "sweep" / "rates.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(
        "# Of this test\ndefaults: [grid]\nparams:\n"
        "  optimizer.lr: 0.1,0.01\n  optimizer: {weight_decay: 'choice(0, 0.1)'}\n"
    )
    assert sweeps.here("sweep=rates") == 0
    assert [trial.overrides for trial in sweeps.trials][1] == [
        "optimizer.lr=0.1",
        "optimizer.weight_decay=0.1",
    ]


@pytest.mark.slow
def test_the_same_command_finds_its_sweep_without_a_name(sweeps):
    base = ("+experiment=mnist", "data=digits", "logger=none")
    sweeps.here("optimizer.lr=0.1,0.01", base=base)
    (name,) = sweep_names(sweeps.root)
    assert name.startswith("mnist-lr-")
    sweeps.here("optimizer.lr=0.1,0.01", "sweep.jobs=2", base=base)
    assert sweep_names(sweeps.root) == [name]
    assert len(sweeps.started) == 2


def test_multirun_of_train_is_as_before():
    from mmdl.cli.swept import first_trial

    words = ["+experiment=mnist", "seed=0,1"]
    assert first_trial("train", words) == words
    assert flags_as_overrides("train", ["-m", *words]) == ["-m", *words]


DEFINITION = {"overrides": ["a=1"], "space": {"lr": ["1", "2"]}}


@pytest.mark.parametrize(
    ("method", "definition", "said"),
    [
        ("grid", {"space": {"lr": ["1", "3"]}}, "no longer there: lr=2"),
        ("grid", {"space": {"lr": ["1", "2"], "seed": ["0", "1"]}}, "seed is now swept"),
        ("grid", {"space": {"seed": ["0", "1"]}}, "lr is no longer swept; seed is now swept"),
        ("grid", {"overrides": []}, "without a=1"),
        ("optuna", {}, "sweep: grid -> optuna"),
    ],
)
def test_what_differs_is_said(tmp_path, method, definition, said):
    ours, theirs = (
        Sweep(tmp_path, "lr", kind, "val/accuracy", "max", DEFINITION | change, [], "")
        for kind, change in (("grid", {}), (method, definition))
    )
    with pytest.raises(UserError, match=said):
        check_same(ours, theirs, None, allow_changes=True)
    more = DEFINITION | {"space": {"lr": ["0", "2", "1"]}}
    check_same(
        ours, Sweep(tmp_path, "lr", "grid", "val/accuracy", "max", more, [], ""), None, allow_changes=True
    )


def test_a_study_keeps_its_space_and_its_draws(tmp_path):
    before = {"overrides": [], "space": {"lr": "interval(0,1)"}, "sampler": "tpe", "seed": 0}
    after = {"overrides": [], "space": {"lr": "interval(0,2)"}, "sampler": "tpe", "seed": 1}
    sweeps = [Sweep(tmp_path, "lr", "optuna", "val/accuracy", "max", d, [], "") for d in (before, after)]
    with pytest.raises(UserError, match=r"seed: 0 -> 1; lr: interval\(0,1\) -> interval\(0,2\)"):
        check_same(*sweeps, None, allow_changes=True)


def test_secrets_are_in_no_file(sweeps, capsys):
    assert sweeps.here("seed=choice(0)", "+logger.wandb.api_key=hush") == 0
    assert "+logger.wandb.api_key=hush" in sweeps.starts[0]["words"]
    files = [path for path in (sweeps.root / "sweeps").rglob("*") if path.is_file()]
    assert "lr-1.log" in [path.name for path in files]
    assert not [path for path in files if "hush" in path.read_text(errors="replace")]
    assert "hush" not in "".join(capsys.readouterr())
    assert sweeps.here("resume=lr", base=()) == 2
    assert "held a secret" in capsys.readouterr().err


def test_sweeps_are_found_by_name_path_and_file(sweeps):
    sweeps.here("seed=0,1")
    folder = sweeps.root / "sweeps" / "lr"
    assert find_sweep(Path("runs"), "lr").resolve() == folder
    assert find_sweep(Path("elsewhere"), str(folder)) == folder
    assert find_sweep(Path("runs"), str(folder / "sweep.json")) == folder
    assert find_sweep(Path("runs"), "lr-1") is None
    assert named_sweep(Path("runs"), "latest").resolve() == folder
    with pytest.raises(UserError, match="no sweep 'x'"):
        named_sweep(Path("runs"), "x")


@pytest.mark.parametrize("content", ["{", "[]", '{"trials": 3}', '{"trials": ["a"]}'])
def test_a_damaged_file_is_said(tmp_path, content):
    folder = tmp_path / "sweeps" / "lr"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(content)
    with pytest.raises(UserError, match=r"sweep\.json"):
        read_sweep(folder)


def test_names_of_runs_can_not_lead_elsewhere(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "config.yaml").touch()
    folder = tmp_path / "runs" / "sweeps" / "lr"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(json.dumps({"trials": [{"run": "../secret"}, {"run": None}, {}]}))
    assert sweep_runs(folder) == []
