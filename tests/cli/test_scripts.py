"""The job files in scripts/: well-formed, and their commands bind through mmdl's own composer."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmdl.cli.app import compose


def binds(words, nodes, devices):
    assert words[0] == "train"
    cfg = compose("train", words[1:])
    assert (cfg.trainer.num_nodes, cfg.trainer.devices) == (nodes, devices)
    return cfg


def test_the_sbatch_script(repo):
    path = repo / "scripts" / "train.sbatch"
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    text = path.read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(.+)$", text, re.MULTILINE))
    for name, value in (("NNODES", options["nodes"]), ("NTASKS_PER_NODE", options["ntasks-per-node"])):
        text = text.replace(f'"$SLURM_{name}"', value)
    lines = text.replace("\\\n", "").splitlines()
    [line] = [line for line in lines if line.startswith("srun")]
    words = shlex.split(line)
    assert words.pop() == "$@"
    binds(words[words.index("mmdl") + 1 :], int(options["nodes"]), int(options["ntasks-per-node"]))
    assert (options["signal"], options["open-mode"]) == ("USR1@120", "append")
    assert "#SBATCH --requeue\n" in text


def test_the_kubeflow_job(repo):
    job = yaml.safe_load((repo / "scripts" / "kubeflow_trainjob.yaml").read_text())
    assert (job["kind"], job["apiVersion"]) == ("TrainJob", "trainer.kubeflow.org/v1alpha1")
    trainer = job["spec"]["trainer"]
    assert trainer["command"][0] == "torchrun"
    assert trainer["command"][-2:] == ["-m", "mmdl"]
    cfg = binds(trainer["args"], trainer["numNodes"], trainer["numProcPerNode"])
    pod = job["spec"]["podTemplateOverrides"][0]["spec"]
    assert cfg.run.root == pod["containers"][0]["volumeMounts"][0]["mountPath"]
    assert trainer["resourcesPerNode"]["limits"]["nvidia.com/gpu"] == cfg.trainer.devices


def test_the_skypilot_job(repo):
    job = yaml.safe_load((repo / "scripts" / "skypilot.yaml").read_text())
    assert subprocess.run(["bash", "-n", "-c", job["run"]], check=False).returncode == 0
    words = shlex.split(job["run"].replace("\\\n", " "))
    cfg = binds(words[words.index("mmdl") + 1 :], job["num_nodes"], int(job["resources"]["accelerators"][-1]))
    assert cfg.run.root in job["file_mounts"]
    assert words[0] == "torchrun"


QUICK = (
    "quick=true",
    "logger=none",
    "evaluator=[vqa_accuracy]",
    "data.scenes_train=96",
    "trainer.accelerator=cpu",
)
SMALL = ("trainer.devices=1", "data.num_workers=0")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def on_two_nodes(folder, words, of_node):
    """Run a command as the two nodes of a job do, on this machine, until both have ended."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    nodes = [
        subprocess.Popen(
            words,
            cwd=folder,
            env=env | of_node(node),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        for node in (0, 1)
    ]
    try:
        said = [node.communicate(timeout=300)[0] for node in nodes]
    finally:
        for node in nodes:
            if node.poll() is None:
                os.killpg(node.pid, signal.SIGKILL)
    assert [node.returncode for node in nodes] == [0, 0], said


def one_finished_run(folder, name):
    assert [path.name for path in folder.iterdir() if (path / "config.yaml").is_file()] == [name]
    assert json.loads((folder / name / "status.json").read_text())["status"] == "finished"


@pytest.mark.slow
def test_the_kubeflow_command_trains(repo, tmp_path):
    """With what the runtime `torch-distributed` puts into the pods."""
    trainer = yaml.safe_load((repo / "scripts" / "kubeflow_trainjob.yaml").read_text())["spec"]["trainer"]
    words = [*trainer["command"], *trainer["args"]]
    words[words.index("run.root=/runs")] = f"run.root={tmp_path}"
    port = free_port()

    def pod(node):
        facts = {"NNODES": "2", "NPROC_PER_NODE": "1", "NODE_RANK": str(node)}
        facts |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return {f"PET_{name}": value for name, value in facts.items()}

    on_two_nodes(tmp_path, [*words, *QUICK, *SMALL], pod)
    one_finished_run(tmp_path, "torchrun-vqa-1")


@pytest.mark.slow
def test_the_skypilot_command_trains(repo, tmp_path):
    """With the variables that SkyPilot sets."""
    script = yaml.safe_load((repo / "scripts" / "skypilot.yaml").read_text())["run"].rstrip()
    script = script.replace("run.root=/runs", f"run.root={tmp_path}").replace("=29500", f"={free_port()}")
    words = ["bash", "-c", " ".join([script, *map(shlex.quote, [*QUICK, *SMALL])])]

    def node(number):
        facts = {"NUM_NODES": "2", "NUM_GPUS_PER_NODE": "1", "NODE_RANK": str(number)}
        facts |= {"NODE_IPS": "127.0.0.1\n127.0.0.2", "TASK_ID": "sky-managed-2026-11-28_vqa_4-0"}
        return {f"SKYPILOT_{name}": value for name, value in facts.items()}

    on_two_nodes(tmp_path, words, node)
    one_finished_run(tmp_path, "torchrun-sky-managed-2026-11-28_vqa_4-0")
