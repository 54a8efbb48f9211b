"""What a stopped run says, and what the tracker is told."""

import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from lightning.pytorch.loggers import WandbLogger

from mmdl.errors import Preempted
from mmdl.runs import handing_back
from mmdl.runs.folder import RunFolder
from mmdl.runs.handing_back import hand_back, interruption, mark_preempting, status_of, wait_for_ranks


def test_the_status():
    assert status_of(Preempted(signal.SIGTERM)) == "preempted"


def test_outside_of_slurm_it_says_how_to_continue(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    run = RunFolder(tmp_path, "r")
    stop = Preempted(signal.SIGTERM, 7)
    hand_back(run, stop)
    assert stop.advice == "stopped by SIGTERM before anything was done; run the command again"
    run.create()
    run.write_config({"a": 1})
    hand_back(run, stop)
    assert (
        stop.advice == f"stopped by SIGTERM; to continue: python -m mmdl train resume=r run.root={tmp_path}"
    )


def test_wandb_is_told_and_the_run_ended(monkeypatch):
    called = []

    class Experiment:
        def mark_preempting(self):
            called.append("mark")

        def finish(self, exit_code):
            called.append(exit_code)

    logger = WandbLogger.__new__(WandbLogger)
    monkeypatch.setattr(WandbLogger, "experiment", Experiment())
    for cause in (signal.SIGTERM, signal.SIGINT):
        mark_preempting([logger, object()], Preempted(cause))
        hand_back(None, Preempted(cause))
    assert called == ["mark", 1, 255]


def test_ctrl_c_that_lightning_hides_in_an_exit_is_found_again():
    def exits():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    with pytest.raises(SystemExit) as caught:
        exits()
    assert status_of(caught.value) == "stopped"
    assert isinstance(interruption(caught.value), KeyboardInterrupt)
    assert status_of(SystemExit(1)) == "failed"


def test_the_job_that_ctrl_c_has_stopped_is_not_started_again(monkeypatch):
    monkeypatch.setattr(handing_back, "slurm_job", lambda: "7")
    asked = []
    monkeypatch.setattr(handing_back, "requeue", lambda *words: asked.append(words))
    hand_back(None, Preempted(signal.SIGINT))
    assert asked == []


def test_ranks_that_lightning_has_started_are_waited_for():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    launcher = SimpleNamespace(procs=[process])
    wait_for_ranks(SimpleNamespace(strategy=SimpleNamespace(launcher=launcher)))
    assert process.returncode == 0
    wait_for_ranks(None)
