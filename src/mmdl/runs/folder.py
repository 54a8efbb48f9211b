"""The run folder `runs/<run id>/`: where everything of a run lies, and how a run gets its id."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from mmdl.errors import UserError, nearest
from mmdl.runs.files import TEMPORARY, WriteError, write_json, write_text, writing
from mmdl.runs.redact import redact
from mmdl.runs.requeue import slurm_job
from mmdl.runs.shared_id import are_ranks, shared

RUN_ID_VARIABLE = "MMDL_RUN_ID"
"""Hands the id from rank 0 to the ranks that it launches."""


def rank() -> int:
    """This process's global rank, before any process group exists."""
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 0


def make_run_id(given: str | None, name: str) -> str:
    """The id of a run: given, handed down, from the scheduler's job, or new; on all ranks the same.

    Args:
        given: `run.id` of the configuration.
        name: Short name of what runs, for a new id.

    Raises:
        UserError: if the id can't name a folder.
    """
    found = given or os.environ.get(RUN_ID_VARIABLE) or agents_id() or _scheduler_id()
    if found and not given and RUN_ID_VARIABLE not in os.environ:
        found += _job_of_sweep()
    if not found and are_ranks():
        found = shared(f"run_id{_job_of_sweep()}", lambda: _new_id(name))
    if not found:
        found = _new_id(name)
    found = str(found)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=+\-]{0,127}", found):
        raise UserError(
            f"run.id={found!r} can't name a folder",
            valid="letters, digits and . _ = + -, at most 128, beginning with a letter or digit",
        )
    os.environ[RUN_ID_VARIABLE] = found
    return found


def _new_id(name: str) -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-{secrets.token_hex(2)}"


def _job_of_sweep() -> str:
    """Tells the jobs of a sweep apart that run in one job of the scheduler."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return ""
    if os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
        return ""  # each job of the sweep is one of the scheduler's
    return f"-{HydraConfig.get().job.num}"


def agents_id() -> str | None:
    """The id that an agent of a W&B sweep gives to the run; W&B takes no other one there."""
    return os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None


def _scheduler_id() -> str | None:
    env = os.environ
    if "SLURM_ARRAY_JOB_ID" in env:
        return f"slurm-{env['SLURM_ARRAY_JOB_ID']}_{env.get('SLURM_ARRAY_TASK_ID', '0')}"
    # An interactive allocation runs many commands under one job id; only a batch step is one run.
    job = slurm_job()
    if job is not None:
        return f"slurm-{job}"
    run_id = env.get("TORCHELASTIC_RUN_ID", "none")
    # Without --rdzv-id torchrun calls each start "none" or names it anew: such a name finds no run again.
    unnamed = run_id in ("", "none") or re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", run_id)
    return None if unnamed else f"torchrun-{run_id}"


class RunFolder:
    """Paths and small files of one run.

    Args:
        root: Folder of all runs.
        run_id: Name of this one.
    """

    def __init__(self, root: Path, run_id: str) -> None:
        self.root = Path(root)
        self.id = run_id
        self.path = self.root / run_id

    @property
    def config_file(self) -> Path:
        """The resolved configuration, without secrets."""
        return self.path / "config.yaml"

    @property
    def summary_file(self) -> Path:
        """Flat figures: name -> value, n, ci95."""
        return self.path / "summary.json"

    @property
    def manifest_file(self) -> Path:
        """Commit, versions, hardware, data, command."""
        return self.path / "manifest.json"

    @property
    def data_report_file(self) -> Path:
        """How much data there is, what was left out and why."""
        return self.path / "data_report.json"

    @property
    def metrics_file(self) -> Path:
        """One JSON object a line, flushed line by line."""
        return self.path / "metrics.jsonl"

    @property
    def progress_file(self) -> Path:
        """How far the training is; see `write_progress`."""
        return self.path / "progress.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints and weights."""
        return self.path / "checkpoints"

    @property
    def evaluation(self) -> Path:
        """Folder of the evaluators' files, one folder a split."""
        return self.path / "evaluation"

    @property
    def predictions(self) -> Path:
        """Folder of predictions per sample."""
        return self.path / "predictions"

    @property
    def item_images(self) -> Path:
        """Folder of the images of test items."""
        return self.path / "media" / "items"

    @property
    def stacks(self) -> Path:
        """Folder of what ranks wrote that hung, or lost another."""
        return self.path / "stacks"

    @property
    def exists(self) -> bool:
        """Whether a run was begun here."""
        return self.config_file.is_file()

    def create(self) -> None:
        """Make the folder for a new run.

        Raises:
            UserError: if a run of this id was begun already.
        """
        if self.exists and rank() == 0:
            raise UserError(
                f"the run {self.id!r} exists in {self.root}",
                valid="a run.id that is not taken",
                fix=f"resume={self.id} to continue it, or another run.id",
            )
        self.make_folders()

    def make_folders(self) -> None:
        """Make what is missing of its folders.

        Raises:
            WriteError: if they can't be made.
        """
        for folder in (self.checkpoints, self.predictions):
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)

    def clean(self) -> None:
        """Remove what an interrupted write left behind."""
        for stale in self.path.rglob(f"{TEMPORARY}*"):
            with writing(stale):
                if stale.is_dir():  # an export
                    shutil.rmtree(stale)
                else:
                    stale.unlink(missing_ok=True)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write `config.yaml`, without secrets."""
        write_text(self.config_file, OmegaConf.to_yaml(OmegaConf.create(redact(config))))

    def read_config(self) -> Any:
        """The saved configuration as a DictConfig."""
        return OmegaConf.load(self.config_file)

    def read_manifest(self) -> dict[str, Any]:
        """What made the run; empty where nothing is written."""
        return json.loads(self.manifest_file.read_text()) if self.manifest_file.is_file() else {}

    def write_summary(self, figures: Mapping[str, Any]) -> None:
        """Merge figures into `summary.json`; a figure is `{"value", "n", "ci95"}`."""
        write_json(self.summary_file, self.read_summary() | dict(figures))

    def read_summary(self) -> dict[str, Any]:
        """The figures so far; empty where there are none."""
        return json.loads(self.summary_file.read_text()) if self.summary_file.is_file() else {}

    def write_status(self, status: str, **facts: Any) -> None:
        """Write `status.json`: `running`, `finished`, `failed`, `stopped` or `preempted`, with process, host and time.

        Facts of earlier calls stay, but for the error of an earlier end.
        """
        own = {"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()}
        facts = {"status": status, **own, **redact(facts)}
        before = {name: value for name, value in self.read_status().items() if name != "error"}
        write_json(self.path / "status.json", before | facts)

    def try_write_status(self, status: str, **facts: Any) -> None:
        """Write `status.json` if that is possible: a run that ends on a full disk has something else to say."""
        if self.path.is_dir():
            with suppress(WriteError):
                self.write_status(status, **facts)

    def read_status(self) -> dict[str, Any]:
        """The last status; empty where there is none."""
        path = self.path / "status.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    def remove_if_empty(self) -> None:
        """Remove the folder of a run that failed before it did anything."""
        if self.path.is_dir() and not self.exists:
            shutil.rmtree(self.path, ignore_errors=True)


def run_ids(root: Path) -> list[str]:
    """Ids of all runs in a folder, the newest last."""
    if not root.is_dir():
        return []
    found = [path.parent for path in root.glob("*/config.yaml")]
    return [path.name for path in sorted(found, key=lambda p: ((p / "config.yaml").stat().st_mtime, p.name))]


def find_run(root: Path, wanted: str) -> RunFolder:
    """The run of an id, a folder path, or `latest`.

    Args:
        root: Folder of all runs.
        wanted: `latest`, an id, or a path to a run folder.

    Raises:
        UserError: if there is no such run.
    """
    ids = run_ids(root)
    if wanted == "latest" and ids:
        return RunFolder(root, ids[-1])
    if wanted in ids:
        return RunFolder(root, wanted)
    path = Path(wanted).expanduser()
    if (path / "config.yaml").is_file():
        return RunFolder(path.resolve().parent, path.resolve().name)
    raise UserError(
        f"there is no run {wanted!r} in {root.resolve()}",
        valid=nearest(wanted, ids) if ids else "no run was begun there",
        fix="python -m mmdl ls" if ids else "python -m mmdl train +experiment=vqa",
    )
