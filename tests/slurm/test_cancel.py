"""On a real Slurm: what a person has cancelled stays cancelled, although it gets the signal of a preemption."""

import json
import time

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("proctrack", ["linuxproc", "cgroup"])
def test_a_cancelled_job_stays_cancelled(lab, proctrack):
    here = lab(proctrack)
    job = here.submit("trainer.max_epochs=100", "logger=none", at="step")
    here.until_halted(job, 1)
    here.cluster.run("scancel", job)
    facts = here.ended(job)
    time.sleep(10)
    assert here.cluster.job(job)["JobState"] == facts["JobState"] == "CANCELLED", here.log()
    assert here.restarts(job) == 0
    run = here.folder / "runs" / f"slurm-{job}"
    assert json.loads((run / "status.json").read_text())["status"] == "preempted"
