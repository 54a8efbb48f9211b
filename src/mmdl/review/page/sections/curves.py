"""The curves of all quantities of all runs, interactive; thinned so that the page stays small."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from mmdl.review.curves import CurveReader, represented_means, thinned
from mmdl.review.model import Curve, Review, RunView
from mmdl.review.page.section import Section, text
from mmdl.review.quantities import ordered

BYTES = 4_500_000
"""What all points together may take of the page; each run has an equal share."""
POINT_BYTES = 15
FEWEST, MOST = 48, 2000
"""Points of a curve; a curve with no more than the most that fit is shown whole."""
MOST_CURVES = 4000
"""Curves of all runs together."""
EVENTS = 64
"""A curve of validation with no more points than this shows each of them."""
MOST_NOTES = 8
UPLOT = ("uplot/uPlot.min.css", "chart.css", "uplot/uPlot.iife.min.js")
SCRIPTS = (*UPLOT, "chart.js", "legend.js", "panel.js", "export.js", "curves.js")


def section(review: Review) -> Section:
    """The section; its data holds the curves of each quantity, by run."""
    monitors = list(dict.fromkeys(run.monitor for run in review.runs if run.monitor))
    notes: list[str] = []
    lost, short = 0, 0
    runs: list[dict[str, Any]] = []
    curves: dict[str, list[dict[str, Any]]] = {}
    for number, run in enumerate(review.runs):
        reader = CurveReader(run.path / "metrics.jsonl")
        found = reader.read()
        notes += _gaps(run, reader, found)
        kept, points = _share(found, monitors, len(review.runs))
        lost = max(lost, len(ordered(found, monitors)) - len(kept))
        for name in kept:
            packed = packed_curve(found[name], points, name.startswith("val/"))
            short = max(short, points if "m" in packed else 0)
            curves.setdefault(name, []).append({"r": number} | packed)
        runs.append({"id": run.id, "label": run.id, "start": reader.start})
    if lost:
        notes.append(
            f"up to {lost:,} quantities of a run are left out of the page, those of single classes first; "
            "metrics.jsonl holds all"
        )
    if short:
        notes.append(
            f"Curves of more than {short:,} points are thinned: of each stretch the least and the greatest value are "
            "shown, and smoothing takes the mean of all"
        )
    rest = len(notes) - MOST_NOTES
    notes = [*notes[-MOST_NOTES:], *([f"{rest} more runs have gaps in their curves"] if rest > 0 else [])]
    said = "".join(f'<p class="note">{text(note)}.</p>' for note in notes)
    if not curves:
        return Section("curves", "Curves", f'<p class="note">No run has logged a curve yet.</p>{said}')
    quantities = [
        {"name": name, "group": heading, "curves": curves[name]}
        for name, heading in ordered(curves, monitors)
    ]
    html = '<div id="curves-panel"></div><noscript><p class="note">The curves need JavaScript.</p></noscript>'
    data = {"runs": runs, "groups": _groups(review), "quantities": quantities}
    return Section("curves", "Curves", html + said, data, SCRIPTS)


def _groups(review: Review) -> list[dict[str, Any]]:
    """Runs that are folded into one line: those of each entrant."""
    known = {run.id for run in review.runs}
    groups: list[dict[str, Any]] = []
    for entrant in review.entrants:
        runs = [run for run in entrant.runs if run in known]
        if runs and not entrant.baseline:
            groups.append({"id": runs[0], "label": entrant.label, "runs": runs})
            known -= set(runs)
    return groups + [{"id": run, "label": run, "runs": [run]} for run in sorted(known)]


def _gaps(run: RunView, reader: CurveReader, found: dict[str, Curve]) -> list[str]:
    """What is missing of a run."""
    said = [] if found else [f"{run.id}: metrics.jsonl is missing, or holds no figure yet"]
    if reader.damaged:
        said.append(f"{run.id}: {reader.damaged:,} damaged lines of metrics.jsonl are left out")
    return said


def _share(found: dict[str, Curve], monitors: Collection[str], runs: int) -> tuple[list[str], int]:
    """Which curves of a run are shown, and with how many points."""
    names = [name for name, _ in ordered(found, monitors)][: max(20, MOST_CURVES // runs)]
    return names, min(MOST, max(FEWEST, BYTES // POINT_BYTES // (runs * max(1, len(names)))))


def packed_curve(curve: Curve, points: int, validation: bool = False) -> dict[str, Any]:
    """A curve in few characters.

    Args:
        curve: All P points.
        points: The most that are kept.
        validation: Whether each point stands for a validation.

    Returns:
        `s` and `t`: differences of steps and of whole seconds; `v`: values with five digits, null where they are not
        finite; `m`: means, where the curve was thinned; `p`: 1 where each point is shown.
    """
    if (np.diff(curve.steps) < 0).any():  # two runs wrote into one file, or a clock of steps was set back
        order = np.argsort(curve.steps, kind="stable")
        curve = Curve(curve.steps[order], curve.values[order], curve.times[order])
    small = thinned(curve, points)
    packed: dict[str, Any] = {
        "s": np.diff(small.steps, prepend=0).tolist(),
        "v": [_short(value) for value in small.values.tolist()],
        "t": np.diff(np.round(np.nan_to_num(small.times)).astype(np.int64), prepend=0).tolist(),
    }
    if small is not curve:
        packed["m"] = [_short(value) for value in represented_means(curve, small).tolist()]
    if len(small.steps) <= (EVENTS if validation else 1):
        packed["p"] = 1
    return packed


def _short(value: float) -> float | None:
    if not np.isfinite(value):
        return None
    short = float(f"{value:.5g}")
    return int(short) if short == int(short) and abs(short) < 1e15 else short
