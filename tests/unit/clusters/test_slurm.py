"""The batch script, run by bash with stand-ins for Slurm's programs."""

import os
import subprocess
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mmdl.cli.app import compose
from mmdl.clusters.slurm import ranks, render
from mmdl.errors import UserError


def settings(*overrides):
    cfg = compose("submit", list(overrides)).copy()
    OmegaConf.set_struct(cfg, False)
    return cfg.cluster, cfg.trainer


COMMAND = ("python", "-m", "mmdl", "train", "+experiment=vqa", "name=it's a test")


def script(*overrides, logs=Path("/logs")):
    cluster, trainer = settings(*overrides)
    given = [override.partition("=")[0] for override in overrides]
    return render(cluster, trainer, COMMAND, given=given, name="vqa", about="a test", logs=logs)


def test_what_every_job_has():
    lines = script("cluster.nodes=2", "cluster.tasks_per_node=4").splitlines()
    for line in ("--requeue", "--open-mode=append", "--signal=USR1@120", "--nodes=2", "--ntasks-per-node=4"):
        assert f"#SBATCH {line}" in lines
    assert "#SBATCH --gpus-per-node=4" in lines
    [run] = [line for line in lines if line.startswith("srun")]
    assert run.startswith("srun --kill-on-bad-exit=1 python -m mmdl train +experiment=vqa ")
    assert run.endswith("trainer.num_nodes=2 trainer.devices=4")
    assert lines[-1] == 'exit "$code"'
    assert not any("gpus" in line for line in script("trainer.accelerator=cpu").splitlines())


def test_optional_keys():
    given = ("memory=64G", "partition=gpu", "account=lab", "qos=long", "constraint=a100", "cpus_per_task=8")
    text = script(
        *(f"cluster.{key}" for key in given), "cluster.options=[--exclusive]", "cluster.gpus_per_node=0"
    )
    for option in (
        "mem=64G",
        "partition=gpu",
        "account=lab",
        "qos=long",
        "constraint=a100",
        "cpus-per-task=8",
    ):
        assert f"#SBATCH --{option}\n" in text
    assert "#SBATCH --exclusive\n" in text
    assert "gpus-per-node" not in text


def test_an_array_gives_each_job_its_seed():
    text = script("cluster.array=0-4")
    assert "#SBATCH --array=0-4\n" in text
    assert "#SBATCH --output=/logs/%A_%a.out\n" in text
    assert ' seed="$SLURM_ARRAY_TASK_ID"\n' in text
    assert 'job="${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"\n' in text


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (("cluster.tasks_per_node=2", "trainer.devices=4"), "cluster.tasks_per_node=2 and trainer.devices=4"),
        (("cluster.nodes=2", "trainer.num_nodes=4"), "cluster.nodes=2 and trainer.num_nodes=4"),
        (("trainer.devices=auto",), "does not say how many"),
        (("cluster.nodes=0",), "cluster.nodes=0"),
        (("cluster.time=2",), "cluster.time=2 is over before anything is done"),
        (("cluster.time=00:01:30", "cluster.signal_before_s=90"), "cluster.time=00:01:30 is over"),
        (("cluster.options=[exclusive]",), "cluster.options: 'exclusive'"),
    ],
)
def test_contradictions_are_refused(overrides, match):
    with pytest.raises(UserError, match=match):
        script(*overrides)


@pytest.mark.parametrize("time", ["3", "00:02:01", "1-0", "UNLIMITED", "null"])
def test_times_that_leave_time(time):
    assert f"--time={time}\n" in script(f"cluster.time={time}") or time == "null"


def test_devices_say_the_tasks():
    cluster, trainer = settings("cluster.nodes=3", "trainer.devices=8")
    assert ranks(cluster, trainer, ["trainer.devices"]) == (3, 8)


STAND_INS = {
    "srun": '#!/bin/bash\nprintf "%s\\n" "$@" > srun.words\n[ -z "$REFUSED" ] || touch "$MMDL_REFUSED"\nexit $WANTED\n',
    "scontrol": '#!/bin/bash\necho "$@" >> scontrol.words\n[ "$1" != show ] || echo "JobState=$STATE"\n',
}


@pytest.fixture
def bash(tmp_path, monkeypatch):
    """Runs the script of a job; returns its exit code, and whether it asked for another start."""
    monkeypatch.chdir(tmp_path)
    for name, text in STAND_INS.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    text = script("cluster.setup=['export FROM_SETUP=1']", logs=tmp_path)
    (tmp_path / "job.sh").write_text(text)
    assert subprocess.run(["bash", "-n", "job.sh"], check=False).returncode == 0

    def run(code, state="RUNNING", **environment):
        asked = tmp_path / "scontrol.words"
        asked.unlink(missing_ok=True)
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WANTED": str(code), "STATE": state}
        done = subprocess.run(
            ["bash", "-u", "job.sh"],
            env=env | {"SLURM_JOB_ID": "7"} | environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert "name=it's a test" in (tmp_path / "srun.words").read_text().splitlines()
        return done.returncode, asked.exists() and "requeue 7" in asked.read_text(), done.stderr

    return run


@pytest.mark.parametrize(
    ("code", "state", "requeues"),
    [
        (0, "RUNNING", False),
        (1, "RUNNING", True),
        (137, "RUNNING", True),
        (2, "RUNNING", True),  # a loader process that died: a mistake leaves a file
        (143, "CANCELLED", False),
        (143, "COMPLETING", False),
    ],
)
def test_bash_runs_it(bash, code, state, requeues):
    assert bash(code, state)[:2] == (code, requeues)


def test_only_failures_are_counted(bash):
    """Preemptions restart the job as often as it takes."""
    for _ in range(5):
        assert bash(1, SLURM_RESTART_COUNT="100")[1]
    code, requeued, said = bash(1)
    assert (code, requeued, said) == (1, False, "")


def test_a_mistake_on_one_rank_is_final(bash):
    """srun ends the other ranks with TERM, and returns that."""
    assert bash(143, REFUSED="1")[:2] == (2, False)
    assert bash(143)[:2] == (143, True)  # what an earlier start has left counts no more
