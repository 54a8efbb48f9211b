"""The cluster of the tests ends with them, also where they are killed."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import sys, time
sys.path.insert(0, sys.argv[1])
from mini_slurm import MiniSlurm
with MiniSlurm("linuxproc") as cluster:
    job = cluster.run("sbatch", "--parsable", "-N2", "-o", "/dev/null", "--wrap", "srun sleep 1000").strip()
    cluster.wait_for(job, ("RUNNING",), seconds=90)
    print(cluster.folder, flush=True)
    time.sleep(1000)
"""


def test_nothing_outlives_a_killed_test(slurm):
    words = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as tests:
        folder = tests.stdout.readline().strip()
        assert Path(folder, "slurm.conf").is_file()
        assert list(Path("/run/netns").glob(f"mmdl{tests.pid}l-*"))
        tests.send_signal(signal.SIGKILL)
    end = time.monotonic() + 60
    while left := _left(tests.pid, folder):
        assert time.monotonic() < end, left
        time.sleep(0.2)


def _left(pid, folder):
    """Namespaces of the cluster, its folder, and processes that know it."""
    found = [str(path) for path in Path("/run/netns").glob(f"mmdl{pid}l-*")]
    found += [folder] if Path(folder).exists() else []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            known = (path.read_bytes() + path.with_name("cmdline").read_bytes()).decode(errors="replace")
        except OSError:
            continue
        if folder in known:
            found.append(known[:200])
    return found


def test_a_node_that_takes_no_jobs_is_resumed(slurm):
    cluster = slurm("linuxproc")
    cluster.run("scontrol", "update", "nodename=h1", "state=drain", "reason=batch job complete failure")
    job = cluster.run("sbatch", "--parsable", "-N2", "-o", "/dev/null", "--wrap", "srun true").strip()
    assert cluster.wait_for(job, ("COMPLETED",), seconds=60)["Restarts"] == "0"


def test_a_job_that_does_not_start_is_explained(slurm):
    cluster = slurm("linuxproc")
    job = cluster.run("sbatch", "--parsable", "--hold", "-o", "/dev/null", "--wrap", "true").strip()
    with pytest.raises(
        TimeoutError, match=r"is PENDING \(JobHeldUser\) after 1 s\n(?s:.)*h1 idle(?s:.)*slurmctld: "
    ):
        cluster.wait_for(job, ("RUNNING",), seconds=1)
    cluster.run("scancel", job)
