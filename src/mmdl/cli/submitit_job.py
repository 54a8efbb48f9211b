"""A job of a sweep that hydra-submitit-launcher runs in Slurm: how it ends, and what `srun` is told."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmdl.errors import Preempted

_failures: list[BaseException] = []


@contextmanager
def job_of_submitit() -> Iterator[None]:
    """Let a job that has failed, or was stopped, end as such; in a process of another launcher nothing.

    Hydra catches the error and submitit writes it down for the process that submitted, so the job's own process would
    end with 0, which Slurm calls completed (hydra #1928).
    """
    if "SUBMITIT_EXECUTOR" not in os.environ:
        yield
        return
    atexit.register(_end_as_failed)
    try:
        yield
    except Preempted as stop:
        # Slurm was not asked for another start, else this process would have been ended by it.
        print(stop.advice, file=sys.stderr)
        sys.exit(stop.exit_code)
    except Exception as error:
        _failures.append(error)
        raise


def _end_as_failed() -> None:
    """The last of what is registered from the job's start on."""
    if _failures:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def tell_slurm() -> None:
    """Have the jobs that this process submits end with their first rank that fails, and be ones that may be requeued.

    `sbatch` and `srun` read these variables; the launcher has no settings for them.
    """
    for name, value in (("SLURM_KILL_BAD_EXIT", "1"), ("SBATCH_REQUEUE", "1")):
        os.environ.setdefault(name, value)
