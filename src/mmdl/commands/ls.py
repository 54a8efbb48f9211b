"""Lists runs, or what can be chosen in a configuration.

usage: python -m mmdl ls [runs|sweeps|GROUP] [--root FOLDER] [--seeds] [--json]

`--seeds` folds finished runs that differ in their seed only into mean and standard deviation.

examples:
  python -m mmdl ls                      all runs, the newest last
  python -m mmdl ls --seeds              mean and deviation over seeds
  python -m mmdl ls sweeps               sweeps: how many trials are done, and the best
  python -m mmdl ls experiment           experiments, one line each
  python -m mmdl ls model/fusion         any group of the configuration
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from mmdl.cli.catalog import catalog, groups
from mmdl.cli.help import table
from mmdl.errors import UserError, nearest
from mmdl.runs.alive import is_alive
from mmdl.runs.durations import duration


def main(argv: list[str]) -> int:
    """Run the verb."""
    parser = argparse.ArgumentParser(prog="mmdl ls", add_help=False)
    parser.add_argument("what", nargs="?", default="runs")
    parser.add_argument("--root", type=Path, default=Path("runs"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", action="store_true")
    arguments = parser.parse_args(argv)
    if arguments.seeds:
        _print_seeds(arguments.root, arguments.json)
        return 0
    if arguments.what == "runs":
        _print_runs(arguments.root, arguments.json)
        return 0
    if arguments.what == "sweeps":
        from mmdl.sweeps.listing import print_sweeps

        print_sweeps(arguments.root, arguments.json)
        return 0
    known = groups()
    if arguments.what not in known:
        raise UserError(
            f"there is nothing to list under {arguments.what!r}",
            valid=nearest(arguments.what, ["runs", "sweeps", *known]),
            fix="python -m mmdl ls",
        )
    found = catalog(arguments.what)
    print(json.dumps(found, indent=2) if arguments.json else table(found))
    return 0


def run_rows(root: Path) -> list[dict[str, Any]]:
    """State and main figure of every run in a folder, the newest last."""
    from mmdl.runs.folder import RunFolder, run_ids

    rows = []
    for run_id in run_ids(root):
        run = RunFolder(root, run_id)
        status, summary = run.read_status(), run.read_summary()
        monitor = str(status.get("monitor", "")).replace("val/", "test/", 1)
        state = status.get("status", "unknown")
        if state == "running" and not is_alive(status):
            state = "killed"
        rows.append(
            {
                "run": run_id,
                "state": state,
                "metric": monitor,
                "value": summary.get(monitor, {}).get("value"),
                "n": summary.get(monitor, {}).get("n"),
                "wall_s": summary.get("time/wall_s", {}).get("value"),
                "time": status.get("time"),
            }
        )
    return rows


def _print_runs(root: Path, as_json: bool) -> None:
    rows = run_rows(root)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        print(f"no runs in {root}; begin one with: python -m mmdl train +experiment=vqa")
        return
    width = max(len(row["run"]) for row in rows)
    for row in rows:
        value = "" if row["value"] is None else f"{row['metric']} {row['value']:.4f} (n = {row['n']:,})"
        wall = "" if row["wall_s"] is None else duration(row["wall_s"])
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["time"])) if row["time"] else ""
        print(f"{row['run']:{width}}  {row['state']:9}  {when:16}  {wall:>12}  {value}".rstrip())


def _print_seeds(root: Path, as_json: bool) -> None:
    """Mean and deviation over the runs that differ in their seed only."""
    from mmdl.runs.folder import RunFolder, run_ids
    from mmdl.runs.seeds import seed_groups

    found = seed_groups(RunFolder(root, run_id) for run_id in run_ids(root))
    if as_json:
        rows = [group._asdict() | {"mean": group.mean, "deviation": group.deviation} for group in found]
        print(json.dumps(rows, indent=2))
        return
    if not found:
        print(
            f"no finished runs in {root}; begin some with: python -m mmdl train +experiment=vqa seed=0,1,2 -m"
        )
        return
    for group in found:
        print(
            f"{group.name}  {group.metric} {group.mean:.4f} +- {group.deviation:.4f} "
            f"({len(group.values)} runs, {min(group.values):.4f} to {max(group.values):.4f}, seeds "
            f"{', '.join(map(str, sorted(group.seeds)))})"
        )
