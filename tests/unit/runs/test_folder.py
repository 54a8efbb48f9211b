from types import SimpleNamespace

import pytest

from mmdl.errors import UserError
from mmdl.runs.folder import RUN_ID_VARIABLE, RunFolder, find_run, make_run_id, run_ids


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in (
        RUN_ID_VARIABLE,
        "SLURM_JOB_ID",
        "SLURM_STEP_ID",
        "SLURM_ARRAY_JOB_ID",
        "TORCHELASTIC_RUN_ID",
        *("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    ):
        monkeypatch.setenv(name, "x")  # so that monkeypatch restores it after the code sets it
        monkeypatch.delenv(name)


def test_a_given_id_wins_and_is_handed_down(monkeypatch):
    import os

    assert make_run_id("mine", "vqa") == "mine"
    assert os.environ[RUN_ID_VARIABLE] == "mine"
    assert make_run_id(None, "vqa") == "mine"


def test_ids_from_the_scheduler(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    assert make_run_id(None, "vqa") == "slurm-12"
    monkeypatch.delenv(RUN_ID_VARIABLE)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert make_run_id(None, "vqa") == "slurm-7_3"


def test_an_agent_of_a_sweep_names_the_run(monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "a1b2c3d4")
    monkeypatch.delenv("WANDB_SWEEP_ID", raising=False)
    assert make_run_id(None, "vqa") != "a1b2c3d4", "anybody may set it for other reasons"
    monkeypatch.delenv(RUN_ID_VARIABLE)
    monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    assert make_run_id(None, "vqa") == "a1b2c3d4"


def test_only_a_name_that_torchrun_was_given_names_a_run(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job-7")
    assert make_run_id(None, "vqa") == "torchrun-job-7"
    for unnamed in ("none", "385c4ce3-3df0-49df-ae95-79307153bac3"):
        monkeypatch.delenv(RUN_ID_VARIABLE)
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", unnamed)
        assert "-vqa-" in make_run_id(None, "vqa")


@pytest.mark.parametrize("bad", ["../x", "a/b", ".hidden", "a b", "x" * 200])
def test_an_id_that_is_no_folder_name_is_refused(bad):
    with pytest.raises(UserError, match="can't name a folder"):
        make_run_id(bad, "vqa")


def test_new_ids_differ(monkeypatch):
    first = make_run_id(None, "vqa")
    monkeypatch.delenv(RUN_ID_VARIABLE)
    assert first != make_run_id(None, "vqa")


def test_a_taken_id_is_refused_and_found_again(tmp_path):
    run = RunFolder(tmp_path, "one")
    run.create()
    run.write_config({"seed": 1, "api_key": "secret"})
    assert "secret" not in run.config_file.read_text()
    with pytest.raises(UserError, match="exists"):
        RunFolder(tmp_path, "one").create()
    assert run_ids(tmp_path) == ["one"]
    assert find_run(tmp_path, "latest").id == "one"
    assert find_run(tmp_path, str(run.path)).id == "one"
    with pytest.raises(UserError) as caught:
        find_run(tmp_path, "onne")
    assert caught.value.valid == "one"


def test_the_error_of_an_earlier_end_does_not_stay(tmp_path):
    run = RunFolder(tmp_path, "one")
    run.create()
    run.write_status("failed", name="vqa", error="disk full")
    assert run.read_status()["error"] == "disk full"
    run.write_status("running")
    assert run.read_status()["name"] == "vqa"
    assert "error" not in run.read_status()


def test_summary_is_merged(tmp_path):
    run = RunFolder(tmp_path, "one")
    run.create()
    run.write_summary({"a": {"value": 1.0, "n": 2, "ci95": None}})
    run.write_summary({"b": {"value": 2.0, "n": None, "ci95": None}})
    assert run.read_summary() == {
        "a": {"value": 1.0, "n": 2, "ci95": None},
        "b": {"value": 2.0, "n": None, "ci95": None},
    }


def test_the_jobs_of_a_sweep_in_one_job_of_slurm_are_runs_of_their_own(monkeypatch):
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    for name, value in {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}.items():
        monkeypatch.setenv(name, value)
    job = SimpleNamespace(mode=RunMode.MULTIRUN, job=SimpleNamespace(num=3))
    monkeypatch.setattr(HydraConfig, "initialized", staticmethod(lambda: True))
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: job))
    assert make_run_id(None, "vqa") == "slurm-7-3"
    assert make_run_id(None, "vqa") == "slurm-7-3", "handed down as it is"
    # With hydra/launcher=submitit_slurm each job of the sweep is a job of Slurm's.
    monkeypatch.delenv(RUN_ID_VARIABLE)
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    assert make_run_id(None, "vqa") == "slurm-7"


def test_what_an_interrupted_write_left_goes_whether_file_or_folder(tmp_path):
    run = RunFolder(tmp_path, "one")
    run.create()
    (run.checkpoints / ".tmp-1-last-step=1.ckpt").write_text("half")
    (run.path / ".tmp-1-export" / "model").mkdir(parents=True)
    (run.path / ".tmp-1-export" / ".tmp-1-weights").write_text("half")
    run.clean()
    assert sorted(path.name for path in run.path.rglob("*")) == ["checkpoints", "predictions"]
