"""Hands a stopped run back to the scheduler: Slurm starts the job again, under the same id."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping

log = logging.getLogger("mmdl")

WAIT_S = 150.0
"""How long to wait for Slurm to end a job that was requeued: longer than it takes to be asked."""

GIVEN_UP = ("CANCELLED", "COMPLETING")
"""States of a job that its owner has ended: Slurm says COMPLETING while it still ends a job that was cancelled."""

INTERACTIVE = ("bash", "interactive")
"""Names by which Lightning takes a job for a shell in which a person works."""


def slurm_job(environment: Mapping[str, str] | None = None) -> str | None:
    """The Slurm job in which this process runs, as `scontrol` takes it; None outside one, and in a person's shell.

    The first task of an array has the number of the whole array as its job id, so tasks are named by both numbers.

    Args:
        environment: In place of this process's.

    >>> slurm_job({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"})
    '7'
    >>> slurm_job({"SLURM_JOB_ID": "9", "SLURM_STEP_ID": "0", "SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "2"})
    '8_2'
    """
    env = os.environ if environment is None else environment
    if "SLURM_JOB_ID" not in env or "SLURM_STEP_ID" not in env or env.get("SLURM_JOB_NAME") in INTERACTIVE:
        return None
    if "SLURM_ARRAY_JOB_ID" in env and "SLURM_ARRAY_TASK_ID" in env:
        return f"{env['SLURM_ARRAY_JOB_ID']}_{env['SLURM_ARRAY_TASK_ID']}"
    return env["SLURM_JOB_ID"]


def _scontrol(*words: str) -> tuple[int, str]:
    try:
        done = subprocess.run(["scontrol", *words], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, (done.stdout + done.stderr).strip()


def requeue(job: str, cause: signal.Signals) -> bool:
    """Ask Slurm to start a job again, unless its owner has cancelled it or one of its ranks has failed.

    Slurm requeues by itself only what it had to kill: a job that leaves in the grace time counts as ended.

    Args:
        job: As `slurm_job` names it.
        cause: The signal that stopped this process.

    Returns:
        Whether Slurm will.
    """
    _, shown = _scontrol("show", "job", job)
    state = re.search(r"\bJobState=(\w+)", shown)
    # A job whose time is up is COMPLETING too; one that is preempted runs until the end of its grace.
    timed_out = "Reason=TimeLimit" in shown
    if state and state.group(1) in GIVEN_UP and not timed_out:
        log.info("Slurm is ending the job %s: it is not asked for another start", job)
        return False
    # Where a rank has died, srun sends the others TERM. Whether that is worth another start is counted by the script.
    if cause == signal.SIGTERM and not timed_out and state and not re.search(r"\bPreemptTime=\d", shown):
        log.info("Slurm has not preempted the job %s: another rank has ended, or somebody has sent TERM", job)
        return False
    code, answer = _scontrol("requeue", job)
    if code:
        log.warning("scontrol requeue %s failed: %s", job, answer)
        return False
    log.info("requeued     Slurm job %s", job)
    return True


def wait_for_the_end(seconds: float = WAIT_S) -> None:
    """Wait until Slurm ends this process; one that left by itself could count as finished."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.5)
