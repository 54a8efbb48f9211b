"""What is left to do when a signal has stopped a sweep."""

from __future__ import annotations

import signal

from mmdl.errors import Preempted
from mmdl.runs.requeue import requeue, slurm_job, wait_for_the_end
from mmdl.sweeps.record import Sweep


def stopped(sweep: Sweep, cause: signal.Signals) -> Preempted:
    """Have Slurm start the job again, where it runs in one; elsewhere say how to go on.

    Args:
        sweep: Its trials have saved themselves.
        cause: The signal.
    """
    job = slurm_job() if cause != signal.SIGINT else None
    if job is not None and requeue(job, cause):
        wait_for_the_end()
    over = sum(trial.is_over for trial in sweep.trials)
    root = [f" {word}" for word in sweep.command if word.startswith("run.root=")]
    stop = Preempted(cause)
    stop.advice = (
        f"stopped by {cause.name} with {over} of {len(sweep.trials)} trials done; "
        f"to continue: python -m mmdl sweep resume={sweep.name}{''.join(root[-1:])}"
    )
    return stop
