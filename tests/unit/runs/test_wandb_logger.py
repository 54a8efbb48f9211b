"""The logger of W&B: where it is switched off, and what it tells of a machine."""

import os
import sys

import pytest

from mmdl.runs.wandb_logger import wandb_id, wandb_logger
from mmdl.runs.wandb_privacy import discreet, private_settings


@pytest.fixture(autouse=True)
def own_variables(monkeypatch):
    for name in ("DATA_DIR", "CACHE_DIR", "SILENT", "MODE", "SERVICE"):
        monkeypatch.setenv(f"WANDB_{name}", "x")
        monkeypatch.delenv(f"WANDB_{name}")


def test_switched_off_it_takes_everything_and_writes_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with caplog.at_level("INFO", logger="mmdl"):
        logger = wandb_logger(str(tmp_path), "r")
        logger.log_hyperparams({"a": 1})
        logger.log_metrics({"val/loss": 1.0}, step=1)
        logger.experiment.finish()
    assert "offline" not in caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_while_a_run_begins_the_command_and_slurm_are_without_secrets(monkeypatch):
    words = ["mmdl", "train", "+hub.token=abc", "seed=1"]
    monkeypatch.setattr(sys, "argv", words)
    for name, value in (("SLURM_JWT", "secret"), ("SLURM_JOB_ID", "7"), ("OTHER", "x")):
        monkeypatch.setenv(name, value)
    with discreet():
        assert sys.argv == ["mmdl", "train", "+hub.token=<redacted>", "seed=1"]
        assert "SLURM_JWT" not in os.environ
        assert (os.environ["SLURM_JOB_ID"], os.environ["OTHER"]) == ("7", "x")
    assert sys.argv is words
    assert os.environ["SLURM_JWT"] == "secret"


def test_code_and_changes_stay_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no repository
    assert private_settings() == {"disable_code": True, "disable_git": True, "save_code": False}


def test_ids_are_in_letters_that_w_and_b_takes():
    assert wandb_id("lr=0.1+b") == "lr-0.1-b"
