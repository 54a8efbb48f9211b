"""What made a run: commit, versions, hardware, data, command."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmdl
from mmdl.runs.hardware import hardware
from mmdl.runs.redact import redact_argument

PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "torchmetrics",
    "transformers",
    "open_clip_torch",
    "timm",
    "datasets",
    "hydra-core",
    "omegaconf",
    "wandb",
    "numpy",
    "pillow",
    "safetensors",
)


def git_state(folder: Path) -> dict[str, Any]:
    """Commit and dirty flag of the repository around a folder; both None outside one."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "--no-optional-locks", "-C", str(folder), *arguments],
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    status = git("status", "--porcelain") if commit else None
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def versions() -> dict[str, str]:
    """Python's version and those of the packages that a result can depend on."""
    found = {"python": platform.python_version(), "mmdl": mmdl.__version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def manifest(data_hashes: dict[str, str], marks: dict[str, Any]) -> dict[str, Any]:
    """The manifest of this process.

    Args:
        data_hashes: Name -> SHA-256 of splits and vocabularies.
        marks: What a reader of the results must know, such as `trained_on_val`.
    """
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": [redact_argument(argument) for argument in sys.argv],
        "git": git_state(Path.cwd()),
        "mmdl_git": git_state(Path(mmdl.__file__).parent),
        "packages": versions(),
        "hardware": hardware(),
        "data": data_hashes,
        "marks": marks,
    }


def continued(before: Mapping[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a run that is continued: the command that began it is what makes it again.

    Args:
        before: Of its beginning, or of an earlier continuation; perhaps empty.
        now: Of this process.

    >>> continued({"started": "1", "command": ["a"]}, {"started": "2", "command": ["b"], "git": {}})
    {'started': '1', 'command': ['a'], 'git': {}, 'resumed': [{'started': '2', 'command': ['b'], 'git': {}}]}
    """
    first = {name: before[name] for name in ("started", "command") if name in before}
    this = {name: now[name] for name in ("started", "command", "git") if name in now}
    return now | first | {"resumed": [*before.get("resumed", []), this]}
