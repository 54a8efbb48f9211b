"""The job files in scripts/: well-formed, and their commands bind through mmdl's own composer."""

import re
import shlex
import subprocess

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
    [line] = [line for line in text.splitlines() if line.startswith("srun")]
    words = shlex.split(line)
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(.+)$", text, re.MULTILINE))
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
