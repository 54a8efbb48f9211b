"""On a real Slurm: a job that is preempted ends with the bits of one that was not, in one run folder."""

import importlib.util
import json
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

_spec = importlib.util.spec_from_file_location("mini_slurm", Path(__file__).with_name("mini_slurm.py"))
mini_slurm = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mini_slurm)

pytestmark = pytest.mark.skipif(bool(mini_slurm.missing()), reason=f"no Slurm here: {mini_slurm.missing()}")

WORDS = (
    *("+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "data.scenes_train=96"),
    *("trainer.accelerator=cpu", "callbacks=[default,ema]", "data.num_workers=1"),
    # The hosts of the test have no names that resolve, and one network each.
    "cluster.setup=['export MASTER_ADDR=198.51.100.2 GLOO_SOCKET_IFNAME=eth0 OMP_NUM_THREADS=1']",
)
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY")


@pytest.fixture(params=["linuxproc", "cgroup"])
def cluster(request, tmp_path):
    with mini_slurm.MiniSlurm(tmp_path / "slurm", request.param) as started:
        yield started


def submit(cluster, folder, *words):
    """The job's id."""
    said = cluster.run(sys.executable, "-m", "mmdl", "submit", *WORDS, *words, cwd=folder)
    return said.splitlines()[0].split()[1]


def logged(folder):
    return "".join(path.read_text() for path in sorted(folder.glob("runs/submitted/*/*.out")))


def until_training(cluster, folder, job, epochs=1, seconds=300):
    """Wait until a job has ended some epochs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        metrics = folder / "runs" / f"slurm-{job}" / "metrics.jsonl"
        if metrics.is_file() and metrics.read_text().count('val/vqa_accuracy"') >= epochs:
            return
        assert cluster.job(job)["JobState"] not in ENDED, logged(folder)
        time.sleep(0.1)
    raise TimeoutError(logged(folder))


def finished(cluster, folder, job, restarts):
    """The weights of a job that must have ended well."""
    facts = cluster.wait_for(job, ENDED)
    assert facts["JobState"] == "COMPLETED", logged(folder)
    assert int(facts["Restarts"]) == restarts, logged(folder)
    run = folder / "runs" / f"slurm-{job}"
    assert json.loads((run / "status.json").read_text())["status"] == "finished"
    assert [path.name for path in run.parent.iterdir() if path.name != "submitted"] == [run.name]
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    return load_file(run / "checkpoints" / "final.safetensors")


def whole(cluster, tmp_path, *words):
    folder = tmp_path / "whole"
    folder.mkdir()
    return finished(cluster, folder, submit(cluster, folder, *words), restarts=0)


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def by_signal(cluster, folder, job):
    cluster.run("scancel", "--signal=USR1", job)


def by_the_high_partition(cluster, folder, job):
    words = ("-p", "high", "-N2", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1")
    cluster.run("sbatch", *words, cwd=folder)


CASES = {"a signal": by_signal, "the high partition": by_the_high_partition}


def interrupted(cluster, tmp_path, how, *words):
    folder = tmp_path / "stopped"
    folder.mkdir()
    job = submit(cluster, folder, *words)
    until_training(cluster, folder, job)
    CASES[how](cluster, folder, job)
    weights = finished(cluster, folder, job, restarts=1)
    log = logged(folder)
    assert "preempted    by SIG" in log
    assert f"requeued     Slurm job {job}" in log
    assert "resuming     at step" in log
    return weights


@pytest.mark.parametrize("cluster", ["linuxproc"], indirect=True)
@pytest.mark.slow
def test_a_job_goes_back_into_the_queue(cluster, tmp_path):
    """One task; a signal to all its processes."""
    interrupted(cluster, tmp_path, "a signal", "trainer.max_epochs=3")


TWO_NODES = ("cluster.nodes=2", "trainer.max_epochs=6", "cluster.partition=low")


@pytest.mark.slow
@pytest.mark.parametrize("how", CASES)
def test_two_nodes_end_with_the_same_bits(cluster, tmp_path, how):
    expected = whole(cluster, tmp_path, *TWO_NODES)
    assert equal(expected, interrupted(cluster, tmp_path, how, *TWO_NODES))


@pytest.mark.slow
def test_the_time_limit(cluster, tmp_path):
    """Two minutes a start are too few: the job is told a minute before, and goes on in another start."""
    words = ("cluster.nodes=2", "trainer.max_epochs=60", "cluster.signal_before_s=60")
    expected = whole(cluster, tmp_path, *words)
    folder = tmp_path / "limited"
    folder.mkdir()
    job = submit(cluster, folder, *words, "cluster.time=00:02:00")
    facts = cluster.wait_for(job, ENDED, seconds=900)
    assert int(facts["Restarts"]) >= 1, logged(folder)
    assert equal(expected, finished(cluster, folder, job, restarts=int(facts["Restarts"])))


@pytest.mark.slow
def test_a_cancelled_job_stays_cancelled(cluster, tmp_path):
    folder = tmp_path / "cancelled"
    folder.mkdir()
    job = submit(cluster, folder, "trainer.max_epochs=100")
    until_training(cluster, folder, job)
    cluster.run("scancel", job)
    facts = cluster.wait_for(job, ENDED)
    time.sleep(10)
    assert cluster.job(job)["JobState"] == facts["JobState"] == "CANCELLED", logged(folder)
    run = folder / "runs" / f"slurm-{job}"
    assert json.loads((run / "status.json").read_text())["status"] == "preempted"


@pytest.mark.slow
def test_a_rank_that_dies_is_started_again_with_all_others(cluster, tmp_path):
    expected = whole(cluster, tmp_path, *TWO_NODES)
    folder = tmp_path / "dying"
    folder.mkdir()
    job = submit(cluster, folder, *TWO_NODES)
    until_training(cluster, folder, job)
    cluster.run("scancel", "--signal=KILL", f"{job}.0")
    assert equal(expected, finished(cluster, folder, job, restarts=1))
    assert "start 2 follows" in logged(folder)
