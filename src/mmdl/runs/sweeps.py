"""The folder of a sweep, `runs/sweeps/<name>/`: which runs belong to it, for whoever reads runs.

Its trials are runs like any other, `runs/<name>-<number>/`. `sweep.json` lists them:

    {"version": 1, "name": "lr", "method": "grid", "monitor": {"name": "val/accuracy", "mode": "max"},
     "definition": {"overrides": [...], "space": {"optimizer.lr": "0.001,0.003"}, ...}, "command": [...],
     "trials": [{"number": 1, "run": "lr-1", "overrides": ["optimizer.lr=0.001"], "state": "finished",
                 "value": 0.93, "attempts": 1, ...}]}

`value` is the validation figure that trials are chosen by; states are those of `TRIAL_STATES`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmdl.errors import UserError, nearest

SWEEPS = "sweeps"
"""Folder of all sweeps, beside the runs."""

SWEEP_FILE = "sweep.json"

TRIAL_STATES = ("waiting", "running", "finished", "pruned", "failed", "interrupted")


def sweep_names(root: Path) -> list[str]:
    """Names of all sweeps, the one that has changed last at the end.

    Args:
        root: Folder of all runs.
    """
    found = []
    for path in (root / SWEEPS).glob(f"*/{SWEEP_FILE}"):
        try:
            found.append((path.stat().st_mtime, path.parent.name))
        except OSError:  # it was removed in between
            continue
    return [name for _, name in sorted(found)]


def find_sweep(root: Path, wanted: str) -> Path | None:
    """The folder of a sweep; None where nothing of that name is one.

    Args:
        root: Folder of all runs.
        wanted: Its name, or the path of its folder or of its `sweep.json`.
    """
    if wanted in sweep_names(root):
        return root / SWEEPS / wanted
    path = Path(wanted).expanduser()
    path = path.parent if path.name == SWEEP_FILE else path
    return path.resolve() if (path / SWEEP_FILE).is_file() else None


def named_sweep(root: Path, wanted: str) -> Path:
    """The folder of a sweep, where `latest` is the one that has changed last.

    Args:
        root: Folder of all runs.
        wanted: As `find_sweep` takes it, or `latest`.

    Raises:
        UserError: if there is no such sweep.
    """
    names = sweep_names(root)
    found = root / SWEEPS / names[-1] if wanted == "latest" and names else find_sweep(root, wanted)
    if found is None:
        raise UserError(
            f"there is no sweep {wanted!r} in {(root / SWEEPS).resolve()}",
            valid=nearest(wanted, names) if names else "no sweep was begun there",
            fix="python -m mmdl sweep +experiment=mnist optimizer.lr=1e-3,3e-3" if not names else "",
        )
    return found


def read_sweep(folder: Path) -> dict[str, Any]:
    """What `sweep.json` says.

    Args:
        folder: Of the sweep.

    Raises:
        UserError: if it can't be read, or is none.
    """
    path = folder / SWEEP_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(
            f"{path} is damaged: {error}", valid="the file as mmdl sweep has written it"
        ) from error
    trials = found.get("trials") if isinstance(found, dict) else None
    if not isinstance(trials, list) or not all(isinstance(trial, dict) for trial in trials):
        raise UserError(f"{path} is no list of trials", valid="the file as mmdl sweep has written it")
    return found


def runs_of(folder: Path) -> Path:
    """The folder of all runs in which the trials of a sweep lie."""
    return folder.resolve().parent.parent


def sweep_runs(folder: Path) -> list[Path]:
    """The run folders of a sweep that were begun, by the number of their trial.

    Args:
        folder: Of the sweep, as `find_sweep` gives it.

    Returns:
        Folders with a `config.yaml`: of trials that run, have finished, failed or were pruned.

    Raises:
        UserError: if `sweep.json` can't be read.
    """
    root = runs_of(folder)
    names = [str(trial.get("run") or "") for trial in read_sweep(folder)["trials"]]
    plain = [name for name in names if name and Path(name).name == name]
    return [root / name for name in plain if (root / name / "config.yaml").is_file()]
