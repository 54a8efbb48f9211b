"""Renders a batch job that trains an experiment, keeps it with commit and configuration, and submits it.

usage: python -m mmdl submit +experiment=NAME [cluster=slurm] [cluster.KEY=VALUE ...] [KEY=VALUE ...]
       python -m mmdl submit ... --dry-run        print the script and do nothing

The job saves and goes back into the queue when it is preempted or its time is up, and continues in the same run
folder, runs/slurm-JOBID. All other overrides are those of `train`; the number of ranks follows from
cluster.nodes and cluster.tasks_per_node.

examples:
  python -m mmdl submit +experiment=vqa cluster.partition=gpu --dry-run
  python -m mmdl submit +experiment=vqa cluster.nodes=2 cluster.tasks_per_node=4 cluster.time=08:00:00
  python -m mmdl submit +experiment=mnist cluster.array=0-4
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mmdl.clusters.slurm import render
from mmdl.commands.check import check_config
from mmdl.errors import UserError

OWN = ("cluster", "dry_run")
"""Keys of this command, which `train` does not have."""


def main(cfg: DictConfig) -> None:
    """Run the verb.

    Raises:
        UserError: if the configuration is wrong, or the scheduler refuses the job.
    """
    from mmdl.runs.manifest import git_state

    words = train_words(sys.argv[2:])
    given = [word.lstrip("+~").partition("=")[0] for word in words]
    if cfg.cluster.array is not None and (
        "seed" in given or cfg.run.id is not None or cfg.resume is not None
    ):
        raise UserError(
            "cluster.array gives each of its jobs a seed and a run folder of its own",
            valid="cluster.array without seed, run.id and resume",
        )
    cluster, trainer = cfg.cluster, cfg.trainer
    check_config(cfg)
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{cfg.name}-{secrets.token_hex(2)}"
    folder = (Path(cfg.run.root).expanduser() / "submitted" / stamp).absolute()
    commit = git_state(Path.cwd())
    state = f"commit {commit['commit']}" + (" with changes" if commit["dirty"] else "")
    script = render(
        cluster,
        trainer,
        [str(cluster.python or sys.executable), "-m", "mmdl", "train", *words],
        given=given,
        name=str(cfg.name),
        about=f"made by mmdl submit, {state if commit['commit'] else 'no commit'}",
        logs=folder,
    )
    if cfg.dry_run:
        print(script, end="")
        return
    _keep(folder, script, cfg, {"git": commit, "words": words})
    job = submit(folder / "job.sh")
    _record(folder, job)
    task = f"{job}_TASK" if cluster.array is not None else job
    print(
        f"job      {job}\n"
        f"script   {folder / 'job.sh'}\n"
        f"log      tail -F {folder / f'{task}.out'}\n"
        f"run      {Path(cfg.run.root) / (str(cfg.run.id) if cfg.run.id else f'slurm-{task}')}\n"
        f"look     squeue -j {job}; scontrol show job {job}\n"
        f"stop     scancel {job}"
    )


def train_words(words: Sequence[str]) -> list[str]:
    """The words of this command that are meant for `train`.

    >>> train_words(["+experiment=vqa", "cluster.nodes=2", "cluster=slurm", "--dry-run", "seed=1"])
    ['+experiment=vqa', 'seed=1']
    """

    def is_own(word: str) -> bool:
        key = word.lstrip("+~").partition("=")[0]
        return word == "--dry-run" or key.split(".")[0] in OWN

    return [word for word in words if not is_own(word)]


def _keep(folder: Path, script: str, cfg: DictConfig, facts: dict[str, Any]) -> None:
    from mmdl.runs.files import write_json, write_text
    from mmdl.runs.redact import redact, redact_argument

    plain = redact(OmegaConf.to_container(cfg, resolve=True))
    write_text(folder / "job.sh", script)
    write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(plain)))
    facts["words"] = [redact_argument(word) for word in facts["words"]]
    write_json(folder / "submission.json", {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **facts})


def _record(folder: Path, job: str) -> None:
    import json

    from mmdl.runs.files import write_json

    path = folder / "submission.json"
    write_json(path, json.loads(path.read_text()) | {"job": job})


def submit(script: Path) -> str:
    """Submit a script with sbatch.

    Args:
        script: The file.

    Returns:
        The job's id.

    Raises:
        UserError: if there is no sbatch, or it refuses the job.
    """
    fix = f"sbatch {script} on a machine of the cluster, or --dry-run to read the script first"
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", str(script)], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UserError("there is no sbatch on this machine", fix=fix) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().removeprefix("sbatch: error: ")
        raise UserError(f"sbatch refuses the job: {said}", fix=fix)
    return done.stdout.strip().split(";")[0]
