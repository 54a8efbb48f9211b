"""The curves of all quantities of all runs, interactive; thinned so that the page stays small."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdl.review.curves import CurveReader, thinned
from mmdl.review.model import Curve, Review
from mmdl.review.page.section import Section, text

BYTES = 4_500_000
"""What all points together may take of the page."""
POINT_BYTES = 19
FEWEST, MOST = 48, 2000
"""Points of a curve; a curve with no more than the most that fit is shown whole."""
MOST_CURVES = 4000
EVENTS = 64
"""A curve with no more points than this, and each of validation, shows its points."""
COUNTERS = frozenset(("epoch", "trainer/global_step", "step"))
"""Quantities that only count."""
ONCE = ("test/", "baseline/", "best/")
"""Figures that are logged once, at the end: they stand in the table of metrics."""
SCRIPTS = (
    "uplot/uPlot.min.css",
    "chart.css",
    "uplot/uPlot.iife.min.js",
    "chart.js",
    "legend.js",
    "panel.js",
    "curves.js",
)


def section(review: Review) -> Section:
    """The section; its data holds the curves of each quantity, by run."""
    notes: list[str] = []
    found: dict[str, dict[int, Curve]] = {}
    for number, run in enumerate(review.runs):
        reader = CurveReader(run.path / "metrics.jsonl")
        curves = reader.read()
        if not curves:
            notes.append(f"{run.id}: metrics.jsonl is missing, or holds no figure yet")
        if reader.damaged:
            notes.append(f"{run.id}: {reader.damaged} damaged lines of metrics.jsonl are left out")
        for name, curve in curves.items():
            if name not in COUNTERS and not name.startswith(ONCE):
                found.setdefault(name, {})[number] = curve
    monitors = list(dict.fromkeys(run.monitor for run in review.runs if run.monitor in found))
    order = _order(list(found), monitors)
    kept: list[str] = []
    total = 0
    for name in order:
        if total + len(found[name]) > MOST_CURVES and kept:
            continue
        kept.append(name)
        total += len(found[name])
    if len(kept) < len(order):
        notes.append(
            f"{len(order) - len(kept):,} of {len(order):,} quantities are left out of the page, those of single "
            "classes first; metrics.jsonl of each run holds all"
        )
    points = int(min(MOST, max(FEWEST, BYTES // POINT_BYTES // max(1, total))))
    data = {
        "runs": [
            {"id": run.id, "label": run.id, "start": _start(found, n)} for n, run in enumerate(review.runs)
        ],
        "quantities": [
            {
                "name": name,
                "group": _group(name, monitors),
                "curves": [
                    _packed(number, curve, points, name.startswith("val/"))
                    for number, curve in found[name].items()
                ],
            }
            for name in kept
        ],
    }
    html = '<div id="curves-panel"></div><noscript><p class="note">The curves need JavaScript.</p></noscript>'
    if not kept:
        html = '<p class="note">No run has logged a curve yet.</p>'
    if any(len(curve.steps) > points for name in kept for curve in found[name].values()):
        notes.append(
            f"curves of more than {points:,} points are thinned: of each stretch its least and its greatest value are "
            "shown, and smoothing takes its mean"
        )
    html += "".join(f'<p class="note">{text(note)}.</p>' for note in notes)
    return Section("curves", "Curves", html, data if kept else None, SCRIPTS if kept else ())


def _order(names: list[str], monitors: list[str]) -> list[str]:
    """The monitored figures, losses and learning first, parts of a figure (a class, a question type) last."""
    group = {"train": 0, "val": 1}
    return sorted(
        names,
        key=lambda name: (
            name not in monitors,
            name.count("/") > 1,
            group.get(name.split("/")[0], 2),
            "loss" not in name,
            name,
        ),
    )


def _group(name: str, monitors: list[str]) -> str:
    if name in monitors:
        return "Monitored"
    first, _, rest = name.partition("/")
    if not rest:
        return "other"
    return f"{first}, by part" if "/" in rest and first in ("train", "val") else first


def _start(found: dict[str, dict[int, Curve]], number: int) -> float | None:
    """When the run logged first; times since the start count from it."""
    firsts = [curves[number].times[0] for curves in found.values() if number in curves]
    return round(float(min(firsts)), 1) if firsts else None


def _packed(number: int, curve: Curve, points: int, validation: bool) -> dict[str, Any]:
    """A curve as few characters: differences of steps and times, values with five digits."""
    small = thinned(curve, points)
    packed: dict[str, Any] = {
        "r": number,
        "s": np.diff(small.steps, prepend=0).tolist(),
        "v": [_short(value) for value in small.values.tolist()],
    }
    seconds = np.round(small.times).astype(np.int64)
    packed["t"] = np.diff(seconds, prepend=0).tolist()
    if small is not curve:
        packed["m"] = [_short(value) for value in _means(curve, small).tolist()]
    if len(small.steps) <= (EVENTS if validation else 1):
        packed["p"] = 1
    return packed


def _means(curve: Curve, small: Curve) -> NDArray[np.float64]:
    """Mean of the finite points that each kept point stands for: those since the kept point before it."""
    ends = np.searchsorted(curve.steps, small.steps, side="right")
    finite = np.isfinite(curve.values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, curve.values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    starts = np.concatenate([[0], ends[:-1]])
    number = counts[ends] - counts[starts]
    return np.where(number > 0, (sums[ends] - sums[starts]) / np.maximum(number, 1), small.values)


def _short(value: float) -> float | None:
    if not np.isfinite(value):
        return None
    short = float(f"{value:.5g}")
    return int(short) if short == int(short) and abs(short) < 1e15 else short
