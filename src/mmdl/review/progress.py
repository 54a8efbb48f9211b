"""What is known of a run that has no score yet: how far it is, and its best validation so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmdl.review.curves import CurveReader
from mmdl.review.model import RunView

MOST = 10


def said_of_unfinished(runs: Sequence[RunView]) -> list[str]:
    """One sentence for each run that was not tested.

    Args:
        runs: Of a review; `metrics.jsonl` of those without a score is read.
    """
    without = [run for run in runs if (found := run.summary.get(run.metric)) is None or found.value is None]
    lines = [_said(run) for run in without[:MOST]]
    if len(without) > MOST:
        lines.append(f"{len(without) - MOST} more runs have no score")
    return lines


def _said(run: RunView) -> str:
    if run.metric and run.metric in run.summary:
        return f"{run.id}: {run.metric} is not a number"
    state = {
        "running": "is running",
        "killed": "was killed",
        "unknown": "is in an unknown state",
        "failed": "failed",
    }
    begun = (
        f"{run.id} {state.get(run.state, 'was ' + run.state if run.state != 'finished' else 'has finished')}"
    )
    curves = CurveReader(run.path / "metrics.jsonl").read()
    steps = [int(curve.steps[-1]) for curve in curves.values() if curve.steps.size]
    where = f" at step {max(steps):,}" if steps else " before its first step was logged"
    if run.state == "running":
        where = f": step {max(steps):,}" if steps else ", and has logged nothing yet"
    curve = curves.get(run.monitor)
    values = curve.values[np.isfinite(curve.values)] if curve is not None else np.empty(0)
    if values.size:
        best = float(values.min() if run.mode == "min" else values.max())
        where += f", best {run.monitor} so far {best:.4f}"
    if run.state == "finished":
        where = ""
    return f"{begun}{where}; it has no {run.metric or 'test score'}"
