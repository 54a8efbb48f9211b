"""What Slurm is asked, with a stand-in for scontrol."""

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
    assert requeue("7_1")
    assert words.read_text() == "show job 7_1\nrequeue 7_1\n"


@pytest.mark.parametrize("state", ["CANCELLED", "COMPLETING Reason=None"])
def test_a_cancelled_job_is_not(scontrol, state):
    words = scontrol(state)
    assert not requeue("7")
    assert words.read_text() == "show job 7\n"


def test_slurm_may_refuse(scontrol):
    scontrol("RUNNING", code=1)
    assert not requeue("7")


def test_without_scontrol(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not requeue("7")


def test_an_allocation_without_a_step_is_no_job():
    assert slurm_job({"SLURM_JOB_ID": "7"}) is None
