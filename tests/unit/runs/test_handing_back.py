"""What a stopped run says, and what the tracker is told."""

import signal

from lightning.pytorch.loggers import WandbLogger

from mmdl.errors import Preempted
from mmdl.runs.folder import RunFolder
from mmdl.runs.handing_back import hand_back, mark_preempting, status_of


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
    mark_preempting([logger, object()])
    hand_back(None, Preempted(signal.SIGTERM))
    assert called == ["mark", 1]
