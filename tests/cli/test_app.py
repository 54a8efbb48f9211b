from __future__ import annotations

import os
import sys

import pytest

from mmdl.__main__ import dispatch
from mmdl.cli.app import compose
from mmdl.errors import UserError

APPENDED = ['hydra.run.dir="."', "hydra.job.name=train_ddp_process_1", "hydra.output_subdir=null"]


def test_the_callers_conf_is_searched_first(place):
    data = place.caller / "conf" / "data"
    data.mkdir(parents=True)
    (data / "plain.yaml").write_text("# Mine\nroot: mine\nbatch_size: 8\n")
    assert compose("train").data.root == "mine"
    assert compose("train", ["+experiment=vqa"]).data.root == "there"
    assert compose("train", ["+experiment=vqa", "seed=3"]).seed == 3


def test_a_composed_config_is_closed_and_has_no_hydra_node(place):
    config = compose("train")
    assert "hydra" not in config
    assert "hydra" in compose("train", with_hydra=True)
    with pytest.raises(UserError):
        compose("train", ["nope=1"])


def test_config_dir_is_searched_last(place):
    extra = place.caller / "extra" / "data"
    extra.mkdir(parents=True)
    (extra / "plain.yaml").write_text("root: extra\n")
    (extra / "third.yaml").write_text("# Third\nroot: extra\n")
    one, two = (
        place.seen("train", "data=plain", "--config-dir", "extra"),
        place.seen("train", "--config-dir", "extra", "data=third"),
    )
    assert one[0]["cfg"]["data"]["root"] == "here"
    assert two[0]["cfg"]["data"]["root"] == "extra"


def test_cfg_job_prints_the_config_and_runs_nothing(place, capsys):
    assert dispatch(["train", "--cfg", "job", "seed=5", "-p", "data"]) == 0
    assert capsys.readouterr().out == "# @package data\nroot: here\nbatch_size: 3\ninner:\n  deep: 1\n"


def test_info_shows_the_search_path(place, capsys):
    (place.caller / "conf").mkdir()
    assert dispatch(["train", "--info", "searchpath"]) == 0
    out = capsys.readouterr().out
    assert out.index("| caller") < out.index("| main")


def test_a_run_writes_nothing_itself(place):
    seen = place.seen("train", "+experiment=vqa")
    assert seen[0]["cfg"]["seed"] == 7
    assert list(place.caller.iterdir()) == []


@pytest.mark.parametrize("console", [False, True])
def test_a_further_rank_is_started_as_lightning_does(place, console):
    words = ["train", "ask=rank", "+experiment=vqa", "--config-dir", "conf", "seed=9", "--trust", "mylab"]
    (place.caller / "conf").mkdir()
    first, second = place.seen(*words, console=console)
    assert (first["rank"], second["rank"]) == (0, 1)
    assert first["cfg"] == second["cfg"]
    assert second["cfg"]["seed"] == 9
    assert first["argv"][1:] == words
    assert second["argv"][1:] == [*words[:-2], *APPENDED, *words[-2:]]
    assert first["trust"] == second["trust"] == "mylab"
    assert not list(place.caller.glob("**/.hydra"))


@pytest.mark.slow  # imports Lightning twice
@pytest.mark.parametrize("console", [False, True])
def test_lightnings_own_function_starts_the_same_rank(place, console):
    first, second = place.seen("train", "ask=lightning", "+experiment=vqa", "seed=9", console=console)
    assert second["rank"] == 1
    assert second["argv"] == [*first["argv"], *APPENDED]
    assert second["cfg"] == first["cfg"]


def test_each_job_of_a_multirun_has_its_own_argv_environment_and_ranks(place):
    words = ["train", "-m", "seed=1,2", "ask=rank", "hydra.sweep.subdir=x", "--config-dir", "conf"]
    (place.caller / "conf").mkdir()
    seen = place.seen(*words)
    assert [(job["cfg"]["seed"], job["rank"]) for job in seen] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert seen[0]["argv"][1:] == ["train", "--config-dir", "conf", "seed=1", "ask=rank"]
    assert seen[3]["argv"][1:] == ["train", "--config-dir", "conf", "seed=2", "ask=rank", *APPENDED]
    assert [job["left"] for job in seen] == [
        None,
        "1",
        None,
        "1",
    ]  # exported to its rank, not to the next job
    assert [path.name for path in place.caller.iterdir() if path.name != "conf"] == ["runs"]


def test_a_users_error_in_a_multirun_ends_with_2_after_all_jobs(place):
    done = place.run("train", "-m", "seed=1,2", "ask=user_error")
    assert done.returncode == 2
    assert done.stdout.count('"seed"') == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith("error: no such thing\n  valid: a thing\n  try:   look for it\n")


def test_argv_and_environment_are_as_before_after_a_run(place, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mmdl", "train", "seed=3"])
    monkeypatch.delenv("LEFT_BY_A_JOB", raising=False)
    spec = sys.modules["__main__"].__spec__
    assert dispatch(["train", "seed=3"]) == 0
    assert sys.argv == ["mmdl", "train", "seed=3"]
    assert sys.modules["__main__"].__spec__ is spec
    assert "LEFT_BY_A_JOB" not in os.environ


def test_trusted_packages_add_up(place, monkeypatch, capsys):
    monkeypatch.setenv("MMDL_TRUST", "first")
    assert dispatch(["train", "--trust", "second", "--trust=third.part"]) == 0
    assert '"trust": "first,second,third.part"' in capsys.readouterr().out


def test_other_launchers_run_the_same_jobs(place):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    seen = place.seen("train", "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=1,2")
    assert sorted(job["argv"][2] for job in seen) == ["seed=1", "seed=2"]


def test_composing_inside_a_job_leaves_hydra_as_it_was(place, monkeypatch):
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    def command(config):
        before = GlobalHydra.instance().hydra, HydraConfig.get().job.name
        assert compose("train", ["seed=5"]).seed == 5
        assert (GlobalHydra.instance().hydra, HydraConfig.get().job.name) == before
        assert before[1] == "train"

    monkeypatch.setattr(sys.modules["mmdl.commands.train"], "main", command)
    assert dispatch(["train"]) == 0
    assert GlobalHydra.instance().hydra is None


def test_a_config_may_ask_for_a_multirun_itself(place):
    (place.caller / "conf" / "experiment").mkdir(parents=True)
    (place.caller / "conf" / "experiment" / "many.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params: {seed: '4,5'}\n"
    )
    assert [job["cfg"]["seed"] for job in place.seen("train", "+experiment=many")] == [4, 5]
