"""A sweep of Hydra's in Slurm: each job is a run of its own, preempted and failed as any."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow

SWEEP = (
    *("train", "+experiment=vqa", "quick=true", "evaluator=[vqa_accuracy]", "trainer.accelerator=cpu"),
    *("trainer.max_epochs=3", "data.scenes_train=96", "seed=0,1", "-m", "hydra/launcher=submitit_slurm"),
    *("hydra.launcher.partition=low", "hydra.launcher.setup=['export OMP_NUM_THREADS=1']"),
)

SACCT = """#!{python}
# In place of accounting, which the mini cluster lacks: what submitit asks for, from scontrol.
import re, subprocess
shown = subprocess.run(["scontrol", "show", "job", "-o"], capture_output=True, text=True).stdout
print("JobID|State|NodeList")
for line in shown.splitlines():
    facts = dict(word.split("=", 1) for word in line.split() if "=" in word)
    array = facts.get("ArrayJobId")
    name = array + "_" + facts["ArrayTaskId"] if array else facts["JobId"]
    print(name + "|" + facts["JobState"] + "|")
"""

STARTUP = """
import os, sys
if "SUBMITIT_EXECUTOR" in os.environ:
    sys.path.append({tests!r})
    import halting
    halting.apply(os.environ["HALT_AT"])
"""


@pytest.fixture
def sweep(lab, tmp_path):
    """Starts the sweep on the controller's host; its jobs halt or fail at a moment."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    here = lab("cgroup")
    for name, text in (
        ("sacct", SACCT.format(python=sys.executable)),
        ("sitecustomize.py", STARTUP.format(tests=str(HERE))),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def start(**halting):
        told = {f"HALT_{name.upper()}": value for name, value in halting.items()}
        env = here.cluster.environment | told | {"HALT_FOLDER": str(tmp_path), "WANDB_MODE": "offline"}
        env["PATH"] = f"{tmp_path}:{env['PATH']}"
        env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *filter(None, [env.get("PYTHONPATH")])])
        words = here.cluster.words("ctl", sys.executable, "-m", "mmdl", *SWEEP)
        with (tmp_path / "said").open("w") as said:
            return here, subprocess.Popen(words, cwd=tmp_path, env=env, stdout=said, stderr=said)

    return start


def array_of(here):
    [number] = re.findall(r"JobId=(\d+) ArrayJobId=\1", here.cluster.run("scontrol", "show", "job", "-o"))[
        -1:
    ]
    return number


def logs(tmp_path):
    paths = sorted((tmp_path / "runs" / "multirun").rglob("*_log.*"))
    return "".join(path.read_text() for path in [tmp_path / "said", *paths])


def test_a_signal_to_each_job(sweep, tmp_path):
    """USR2, which submitit would take, and USR1: mmdl saves, has the job requeued and continues in its folder."""
    here, command = sweep(at="step")
    here.until(
        "halted jobs", lambda: command.poll() is not None or len(list(tmp_path.glob("reached-*"))) == 2, 240
    )
    assert command.poll() is None, logs(tmp_path)
    job = array_of(here)
    here.cluster.run("scancel", "--signal=USR2", f"{job}_0")
    here.cluster.run("scancel", "--signal=USR1", f"{job}_1")
    assert command.wait(timeout=300) == 0, logs(tmp_path)
    for task in (0, 1):
        here.finished(f"{job}_{task}", runs=2)
        assert here.cluster.job(f"{job}_{task}")["Restarts"] == "1"
    said = logs(tmp_path)
    assert sorted(re.findall(r"preempted    by (\w+), saved at step 10", said)) == ["SIGUSR1", "SIGUSR2"]
    assert said.count("resuming     at step 10") == 2
    figures = [
        json.loads((tmp_path / "runs" / f"slurm-{job}_{task}" / "summary.json").read_text())
        for task in (0, 1)
    ]
    assert figures[0]["test/vqa_accuracy"] != figures[1]["test/vqa_accuracy"]


def test_a_job_that_fails_is_a_failure_of_the_command(sweep, tmp_path):
    here, command = sweep(at="step", by_raising="1", task="1")
    assert command.wait(timeout=300) == 1, logs(tmp_path)
    job = array_of(here)
    assert "RuntimeError: as the test wants it" in (tmp_path / "said").read_text()
    assert here.ended(f"{job}_0")["JobState"] == "COMPLETED"
    assert here.ended(f"{job}_1")["JobState"] == "FAILED"
