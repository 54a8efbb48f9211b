"""What Slurm is asked, with a stand-in for scontrol."""

import signal

import pytest

from mmdl.runs.requeue import requeue, slurm_job


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    def make(state, code=0):
        program = tmp_path / "scontrol"
        program.write_text(
            f'#!/bin/bash\necho "$@" >> {tmp_path}/words\n[ "$1" = show ] && echo "JobState={state}" || exit {code}\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return tmp_path / "words"

    return make


@pytest.mark.parametrize("state", ["RUNNING", "TIMEOUT", "COMPLETING Reason=TimeLimit"])
def test_it_is_requeued(scontrol, state):
    words = scontrol(state)
    assert requeue("7_1", signal.SIGUSR1)
    assert words.read_text() == "show job 7_1\nrequeue 7_1\n"


@pytest.mark.parametrize("state", ["CANCELLED", "COMPLETING Reason=None"])
def test_a_cancelled_job_is_not(scontrol, state):
    words = scontrol(state)
    assert not requeue("7", signal.SIGUSR2)
    assert words.read_text() == "show job 7\n"


@pytest.mark.parametrize(
    ("shown", "requeued"),
    [
        ("RUNNING PreemptTime=2026-11-28T09:34:37", True),
        ("RUNNING PreemptTime=None", False),
        ("RUNNING", False),
        ("COMPLETING Reason=TimeLimit", True),
    ],
)
def test_term_counts_where_slurm_preempts(scontrol, shown, requeued):
    """With TERM srun also ends the ranks that are left when one has died."""
    scontrol(shown)
    assert requeue("7", signal.SIGTERM) == requeued


def test_slurm_may_refuse(scontrol):
    scontrol("RUNNING", code=1)
    assert not requeue("7", signal.SIGUSR2)


def test_without_scontrol(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not requeue("7", signal.SIGUSR2)


def test_an_allocation_without_a_step_is_no_job():
    assert slurm_job({"SLURM_JOB_ID": "7"}) is None


def test_a_shell_is_no_job():
    env = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "bash"}
    assert slurm_job(env) is None
    assert slurm_job(env | {"SLURM_JOB_NAME": "vqa"}) == "7"
