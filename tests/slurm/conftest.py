"""`slurm("cgroup")` is a cluster, `lab` submits jobs to it and reads what they leave."""

import fcntl
import importlib.util
import json
import shlex
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("mini_slurm", HERE / "mini_slurm.py")
mini_slurm = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mini_slurm)

# The hosts of the test have no names that resolve, and one network each.
EXPORTS = "export MASTER_ADDR=198.51.100.2 GLOO_SOCKET_IFNAME=eth0 OMP_NUM_THREADS=1 WANDB_MODE=offline"
TRAINING = (
    *("+experiment=vqa", "quick=true", "evaluator=[vqa_accuracy]", "data.scenes_train=96"),
    *("trainer.accelerator=cpu", "callbacks=[default,ema]", "data.num_workers=1", "trainer.max_epochs=3"),
    *("data.eval_batch_size=20", "strategy.timeout_minutes=1.5"),
)
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY")


@pytest.fixture(scope="session")
def slurm():
    """A cluster of a ProctrackType, started at its first use."""
    reason = mini_slurm.missing()
    if reason:
        pytest.skip(f"no Slurm here: {reason}")
    clusters = {}

    def started(proctrack):
        if proctrack not in clusters:
            cluster = mini_slurm.MiniSlurm(proctrack)
            clusters[proctrack] = cluster.__enter__()
        clusters[proctrack].wait_for_idle_nodes()
        return clusters[proctrack]

    yield started
    for cluster in clusters.values():
        cluster.__exit__()


class Lab:
    """A person's folder on a cluster."""

    def __init__(self, cluster, folder):
        self.cluster = cluster
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def submit(self, *words, **halting):
        """Submit a training, which halts as `halting.py` says; returns the job's id."""
        setup = [f"cluster.setup=[{EXPORTS!r},'echo begun >> {self.folder}/begun-$SLURM_JOB_ID']"]
        if halting:
            program = self.folder / "halting"
            told = {"HALT_AT": halting.pop("at"), "HALT_FOLDER": self.folder}
            told |= {f"HALT_{name.upper()}": value for name, value in halting.items()}
            told = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in told.items())
            program.write_text(f'#!/bin/sh\n{told} exec {sys.executable} {HERE / "halting.py"} "$@"\n')
            program.chmod(0o755)
            setup.append(f"cluster.python={program}")
        said = self.mmdl("submit", *TRAINING, *words, "cluster.partition=low", *setup)
        return said.splitlines()[0].split()[1]

    def restarts(self, job):
        """How often the batch script began anew; Slurm's own count has launches too that failed for its own reasons."""
        begun = len((self.folder / f"begun-{job}").read_text().splitlines())
        # Now and then ranks don't find each other (gloo): the start ends with its timeout, and another follows.
        return begun - 1 - self.log().count("in start-up, has waited")

    def mmdl(self, *words, **options):
        """Run mmdl on the controller's host."""
        return self.cluster.run(sys.executable, "-m", "mmdl", *words, cwd=self.folder, **options)

    def log(self):
        """What the jobs have written."""
        paths = [*self.folder.glob("runs/submitted/*/*.out"), *self.folder.glob("*.out")]
        return "".join(path.read_text() for path in sorted(paths))

    def until_halted(self, job, count, seconds=240):
        """Wait until so many ranks have reached the moment."""
        end = time.monotonic() + seconds
        while len(list(self.folder.glob("reached-*"))) < count:
            assert self.cluster.job(job)["JobState"] not in ENDED, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.2)

    def until(self, what, condition, seconds=120):
        """Wait for a condition."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"no {what}\n{self.log()}"
            time.sleep(0.2)

    def ended(self, job, seconds=300):
        """Facts of a job that has ended."""
        try:
            return self.cluster.wait_for(job, ENDED, seconds)
        except TimeoutError as late:
            raise AssertionError(f"{late}\n{self.log()}") from late

    def finished(self, job, runs=1):
        """The weights of a run that must have finished, as one of so many, under one id."""
        facts = self.ended(job)
        assert facts["JobState"] == "COMPLETED", self.log()
        run = self.folder / "runs" / f"slurm-{job}"
        assert json.loads((run / "status.json").read_text())["status"] == "finished"
        assert len([path for path in run.parent.iterdir() if path.name.startswith("slurm-")]) == runs
        steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert steps == sorted(steps)
        ids = {path.name.split("-", 3)[3] for path in run.glob("wandb/offline-run-*")}
        assert ids == {f"slurm-{job}"}, ids
        return load_file(run / "checkpoints" / "final.safetensors")


@pytest.fixture
def lab(slurm, tmp_path):
    """`lab("cgroup")` is a person's folder on that cluster."""
    return lambda proctrack: Lab(slurm(proctrack), tmp_path)


@pytest.fixture(scope="session")
def undisturbed(slurm, tmp_path_factory):
    """Weights of a training on two nodes that nothing has disturbed, made once for all processes of the tests."""
    folder = tmp_path_factory.getbasetemp().parent / "undisturbed-slurm"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = folder / "job"
        if not kept.exists():
            whole = Lab(slurm("linuxproc"), folder)
            job = whole.submit("cluster.nodes=2")
            whole.finished(job)
            kept.write_text(job)
    return load_file(folder / "runs" / f"slurm-{kept.read_text()}" / "checkpoints" / "final.safetensors")


@pytest.fixture(scope="session")
def equal():
    """Whether weights are the same to the last bit."""

    def check(one, other):
        return one.keys() == other.keys() and all(
            torch.equal(value, other[name]) for name, value in one.items()
        )

    return check
