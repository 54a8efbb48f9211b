"""How a job of a sweep ends in submitit: Hydra catches its error, and submitit writes it down and would end with 0."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from mmdl.cli.submitit_job import job_of_submitit
from mmdl.errors import Preempted
import signal

try:
    with job_of_submitit():
        if sys.argv[1] == "fails":
            raise ValueError("x")
        if sys.argv[1] == "stopped":
            stop = Preempted(signal.SIGUSR1)
            stop.advice = "to continue: ..."
            raise stop
except Exception:
    print("written down")
"""


def run(outcome, **environment):
    words = [sys.executable, "-c", PROGRAM, outcome]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("outcome", "code"), [("works", 0), ("fails", 1), ("stopped", 138)])
def test_it_ends_as_it_went(outcome, code, monkeypatch):
    done = run(outcome, **os.environ, SUBMITIT_EXECUTOR="slurm")
    assert done.returncode == code, done.stderr
    assert done.stdout == ("written down\n" if outcome == "fails" else "")
    assert done.stderr == ("to continue: ...\n" if outcome == "stopped" else "")


def test_other_launchers_are_left_alone():
    assert run("fails", **os.environ).returncode == 0
