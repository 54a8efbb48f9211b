"""On a real Slurm of two hosts, twelve ways to be disturbed: the run ends with the bits of one that was not.

One W&B id and one run folder in each, which `finished` asserts.
"""

import re

import pytest

SLOW = pytest.mark.slow
TWO = "cluster.nodes=2"
MOMENTS = ("step", "validation", "start-up", "test")


def cases(*values):
    """Parameters, with ids that say the case; all but the first are slow unless it says so."""
    return [
        pytest.param(*value, id="-".join(value), marks=() if value in QUICK else SLOW) for value in values
    ]


QUICK = (("SIGUSR2", "validation", "cgroup"), ("step", "linuxproc"))


def preempted(log):
    """Steps at which a job has saved for a signal; None for one that came before the first."""
    found = re.findall(r"preempted    by (\w+), (?:saved at step (\d+)|before the first step)", log)
    return [(name, int(step) if step else None) for name, step in found]


@pytest.mark.parametrize(
    ("signal", "moment", "proctrack"),
    cases(
        ("SIGUSR1", "step", "linuxproc"),
        ("SIGUSR2", "validation", "cgroup"),
        ("SIGUSR2", "start-up", "linuxproc"),
        ("SIGUSR1", "test", "cgroup"),
    ),
)
def test_requeue(lab, undisturbed, equal, signal, moment, proctrack):
    """With linuxproc the signal reaches all processes of a task, with cgroup the tasks only."""
    here = lab(proctrack)
    job = here.submit(TWO, at=moment)
    here.until_halted(job, 2)
    here.cluster.run("scancel", f"--signal={signal[3:]}", job)
    assert equal(undisturbed, here.finished(job))
    assert here.restarts(job) == 1
    assert [name for name, _ in preempted(here.log())] == [signal]
    assert f"requeued     Slurm job {job}" in here.log()


@pytest.mark.parametrize(
    ("moment", "proctrack"),
    cases(("step", "linuxproc"), ("validation", "cgroup"), ("start-up", "cgroup"), ("test", "linuxproc")),
)
def test_preemption(lab, undisturbed, equal, moment, proctrack):
    """By a job of the partition `high`."""
    here = lab(proctrack)
    job = here.submit(TWO, at=moment)
    here.until_halted(job, 2)
    here.cluster.run("sbatch", "-p", "high", "-N2", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1")
    assert equal(undisturbed, here.finished(job))
    assert here.restarts(job) == 1
    assert [name for name, _ in preempted(here.log())] == ["SIGTERM"]
    assert not list(here.folder.glob("runs/submitted/*/*.failures"))


@SLOW
@pytest.mark.parametrize("proctrack", ["cgroup"])
def test_time_limit(lab, undisturbed, equal, proctrack):
    """The job is told before its time is up; when it trains, the limit is set so that this is at once."""
    here = lab(proctrack)
    job = here.submit(TWO, "cluster.time=01:00:00", "cluster.signal_before_s=60", at="step")
    here.until_halted(job, 2)
    hours, minutes, _ = here.cluster.job(job)["RunTime"].split(":")
    limit = 60 * int(hours) + int(minutes) + 2
    here.cluster.run("scontrol", "update", f"job={job}", f"TimeLimit={limit}")
    here.until("requeue", lambda: here.restarts(job) == 1)
    here.cluster.run("scontrol", "update", f"job={job}", "TimeLimit=60")
    assert equal(undisturbed, here.finished(job))
    assert [name for name, _ in preempted(here.log())] == ["SIGUSR1"]


def resumed(log):
    return [int(step) for step in re.findall(r"resuming     at step (\d+)", log)]


@SLOW
@pytest.mark.parametrize("proctrack", ["linuxproc"])
def test_node_death(lab, undisturbed, equal, proctrack):
    """The second host falls silent while the first waits for its gradients."""
    here = lab(proctrack)
    job = here.submit(TWO, at="step", rank=1)
    here.until_halted(job, 1)
    here.cluster.lose("h2")
    here.until("requeue", lambda: here.cluster.job(job)["JobState"] == "PENDING")
    here.cluster.restore("h2")
    assert equal(undisturbed, here.finished(job))
    assert resumed(here.log()) == [EPOCH]  # of AT_STEP steps


@SLOW
@pytest.mark.parametrize("proctrack", ["cgroup"])
def test_rank_death(lab, undisturbed, equal, proctrack):
    """One rank is killed in the second epoch: a start of all ranks follows, from the end of the first."""
    here = lab(proctrack)
    job = here.submit(TWO, at="step", rank=1, by_dying=1)
    assert equal(undisturbed, here.finished(job))
    assert here.restarts(job) == 1
    assert "failure 1, and another start" in here.log()
    assert resumed(here.log()) == [EPOCH]


EPOCH = 7
"""Steps of an epoch on two ranks: what a death costs is less than that."""


@SLOW
@pytest.mark.parametrize("proctrack", ["linuxproc"])
def test_array(lab, tmp_path, equal, proctrack):
    """Two seeds; both are stopped, and each continues in its own folder."""
    here = lab(proctrack)
    job = here.submit("cluster.array=0-1", at="step")
    here.until_halted(job, 2)
    here.cluster.run("scancel", "--signal=USR1", job)
    found = [here.finished(f"{job}_{task}", runs=2) for task in (0, 1)]
    assert len(preempted(here.log())) == 2
    assert not equal(*found)
    (tmp_path / "whole").mkdir()
    whole = type(here)(here.cluster, tmp_path / "whole")
    job = whole.submit("cluster.array=0-1")
    for task in (0, 1):
        assert equal(found[task], whole.finished(f"{job}_{task}", runs=2))
