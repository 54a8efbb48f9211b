"""What a score has cost: training time, samples seen, floating-point operations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mmdl.review.model import Entrant, Review
from mmdl.review.page.section import Section, text
from mmdl.runs.durations import duration

COSTS = ("seconds", "samples", "flops")
NAMES = {"seconds": "training time", "samples": "samples seen", "flops": "FLOPs of the training"}
SCRIPTS = ("cost.js",)


def section(review: Review) -> Section:
    """A plot that its script draws, and a table of the same figures."""
    entrants = [entrant for entrant in review.entrants if not entrant.baseline]
    points = [_point(entrant, review) for entrant in entrants]
    notes = _lacking(entrants)
    drawn = [point for point in points if point["score"] is not None and any(point[cost] for cost in COSTS)]
    plot = (
        '<div id="cost-plot"></div>' if drawn else '<p class="note">No run has both a score and a cost.</p>'
    )
    if any(cost is not None for point in points for cost in (point[name] for name in COSTS)):
        plot += _table(points)
    html = plot + "".join(f'<p class="note">{text(note)}.</p>' for note in notes)
    return Section(
        "cost", "Cost", html, {"points": drawn, "names": NAMES} if drawn else None, SCRIPTS if drawn else ()
    )


def _point(entrant: Entrant, review: Review) -> dict[str, Any]:
    ends = entrant.ci95
    if entrant.deviation is not None and entrant.mean is not None:
        ends = (entrant.mean - entrant.deviation, entrant.mean + entrant.deviation)
    mode = next((run.mode for run in review.runs if run.id in entrant.runs), "max")
    return {
        "label": entrant.label,
        "run": entrant.runs[0] if entrant.runs else entrant.label,
        "metric": entrant.metric,
        "mode": mode,
        "score": entrant.mean,
        "low": ends[0] if ends else None,
        "high": ends[1] if ends else None,
        "of": "one deviation over seeds" if entrant.deviation is not None else "95% interval",
        "seconds": _mean(entrant.seconds),
        "samples": _mean(entrant.samples),
        "flops": _mean(entrant.flops),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value) and value > 0]
    return sum(known) / len(known) if known else None


def _lacking(entrants: Sequence[Entrant]) -> list[str]:
    """Which entrants lack a figure, in one sentence a figure."""
    found = []
    for name in COSTS:
        without = [entrant.label for entrant in entrants if _mean(getattr(entrant, name)) is None]
        if len(without) == len(entrants) and entrants:
            found.append(f"No run says its {NAMES[name]}")
        elif without:
            rest = f" and {len(without) - 6} more" if len(without) > 6 else ""
            found.append(f"Without {NAMES[name]}: {', '.join(without[:6])}{rest}")
    unscored = [entrant.label for entrant in entrants if entrant.mean is None]
    if unscored:
        rest = f" and {len(unscored) - 6} more" if len(unscored) > 6 else ""
        found.append(f"Without a score: {', '.join(unscored[:6])}{rest}")
    return found


def _table(points: Sequence[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{text(point['label'])}</td>"
        + _number(point["score"], "" if point["score"] is None else f"{point['score']:.4f}")
        + _number(point["seconds"], "" if point["seconds"] is None else duration(point["seconds"]))
        + _number(point["samples"], "" if point["samples"] is None else f"{point['samples']:,.0f}")
        + _number(point["flops"], "" if point["flops"] is None else f"{point['flops']:.3g}")
        + "</tr>"
        for point in points
    )
    return (
        '<details class="more"><summary>The same as a table</summary><div class="table"><table data-sortable><thead><tr>'
        '<th scope="col">Entrant</th><th scope="col" class="number">Score</th>'
        '<th scope="col" class="number">Training time</th><th scope="col" class="number">Samples seen</th>'
        f'<th scope="col" class="number">FLOPs</th></tr></thead><tbody>{rows}</tbody></table></div></details>'
    )


def _number(value: float | None, words: str) -> str:
    return f'<td class="number" data-value="{"" if value is None else repr(value)}">{text(words)}</td>'
