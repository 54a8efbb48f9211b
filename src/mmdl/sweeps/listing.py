"""The sweeps of a folder, a line each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmdl.errors import UserError
from mmdl.runs.sweeps import SWEEPS, sweep_names
from mmdl.sweeps.process import is_held
from mmdl.sweeps.record import LOCK_FILE, load_sweep


def sweep_rows(root: Path) -> list[dict[str, Any]]:
    """State and best trial of every sweep, the one that has changed last at the end.

    Args:
        root: Folder of all runs.
    """
    rows = []
    for name in sweep_names(root):
        row: dict[str, Any] = {"sweep": name}
        try:
            sweep = load_sweep(root / SWEEPS / name)
        except UserError as error:
            rows.append(row | {"state": "damaged", "error": error.given})
            continue
        states = [trial.state for trial in sweep.trials]
        over = sum(trial.is_over for trial in sweep.trials)
        best = sweep.best()
        state = "finished" if over == len(states) else "failed" if "failed" in states else "stopped"
        if is_held(sweep.folder / LOCK_FILE):
            state = "running"
        rows.append(
            row
            | {"state": state, "method": sweep.method, "trials": len(states), "done": over}
            | {"failed": states.count("failed"), "metric": sweep.monitor}
            | {"value": best.value if best else None, "best": best.run if best else None}
            | {"overrides": best.overrides if best else []}
        )
    return rows


def print_sweeps(root: Path, as_json: bool) -> None:
    """Print them.

    Args:
        root: Folder of all runs.
        as_json: As JSON.
    """
    rows = sweep_rows(root)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        print(
            f"no sweeps in {root}; begin one with: python -m mmdl sweep +experiment=mnist optimizer.lr=3e-3,1e-2"
        )
        return
    width = max(len(row["sweep"]) for row in rows)
    for row in rows:
        if row["state"] == "damaged":
            print(f"{row['sweep']:{width}}  damaged   {row['error']}")
            continue
        failed = f", {row['failed']} failed" if row["failed"] else ""
        best = (
            ""
            if row["value"] is None
            else (f"best {row['metric']} {row['value']:.4f}  {row['best']}  {' '.join(row['overrides'])}")
        )
        done = f"{row['done']} of {row['trials']} trials{failed}"
        print(f"{row['sweep']:{width}}  {row['state']:9}  {row['method']:6}  {done}  {best}".rstrip())
