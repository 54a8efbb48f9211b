"""What W&B collects by itself, without the secrets in it: of the command line, the environment and git."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmdl.runs.manifest import git_state
from mmdl.runs.redact import redact, redact_argument

SCHEDULER = (
    "SLURM_JOB_ID",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_NNODES",
    "SLURM_NTASKS",
    "SLURM_RESTART_COUNT",
)
"""What of Slurm's environment W&B may keep: its service takes every `SLURM_*`, a token (`SLURM_JWT`) included."""


def private_settings() -> dict[str, Any]:
    """Settings that keep code, uncommitted changes and the login of the git remote out of a run.

    The commit and the remote itself stay: a run must be reproducible.
    """
    state = git_state(Path.cwd())
    found: dict[str, Any] = {"disable_code": True, "disable_git": True, "save_code": False}
    if state["commit"]:
        found["git_commit"] = state["commit"]
        remote = _remote()
        if remote:
            found["git_remote_url"] = redact(remote)
    return found


def _remote() -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "config", "--get", "remote.origin.url"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


@contextmanager
def discreet() -> Iterator[None]:
    """While W&B begins a run: the command line without secrets, of Slurm's environment what identifies the job.

    Its service is started here and inherits this environment; the training has its own back afterwards.
    """
    words = sys.argv
    hidden = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("SLURM_") and name not in SCHEDULER
    }
    sys.argv = [redact_argument(word) for word in words]
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        sys.argv = words
        os.environ.update(hidden)
