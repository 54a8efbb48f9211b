"""What a reader wants first: which is better, whether the difference is real, and the score of each."""

from __future__ import annotations

from collections.abc import Sequence

from mmdl.review.console import score_text
from mmdl.review.model import Entrant, Review, RunView
from mmdl.review.page.axis import Axis, interval, labels
from mmdl.review.page.headline import headlines, sentence
from mmdl.review.page.marks import badge, gaps, swatch
from mmdl.review.page.section import Section, text
from mmdl.runs.durations import duration

LONG = 90
"""Characters from which on a sentence is large up to its semicolon only."""
LISTED = 6
"""Verdicts that are listed below the large ones; all stand in the comparison."""


def section(review: Review) -> Section:
    """Verdicts, then a table of the entrants with their intervals on one axis."""
    runs = {run.id: run for run in review.runs}
    parts = [_verdicts(review)]
    metrics = list(dict.fromkeys(entrant.metric for entrant in review.entrants))
    for metric in metrics:
        same = [entrant for entrant in review.entrants if entrant.metric == metric]
        parts.append(_table(metric, same, runs))
    if not review.entrants:
        parts.append('<p class="note">There is no score to show.</p>')
    parts.append(gaps("Notes", [sentence(note) for note in review.notes], style="notes"))
    missing = [f"{run.id}: {gap}" for run in review.runs for gap in run.gaps]
    parts.append(gaps("Missing or damaged", missing))
    return Section("overview", "Overview", "\n".join(parts))


def _verdicts(review: Review) -> str:
    first, others = headlines(review)
    large = "".join(map(_large, first))
    listed = "".join(f"<li>{text(verdict)}</li>" for verdict in others[:LISTED])
    rest = len(others) - LISTED
    if rest > 0:
        listed += f'<li><a href="#comparison">{rest} more comparisons</a></li>'
    return large + (f'<ul class="verdicts">{listed}</ul>' if listed else "")


def _large(verdict: str) -> str:
    """The first part in large letters; what follows a semicolon (a p-value, a correction) below it."""
    first, _, rest = verdict.partition("; ")
    if not rest or len(verdict) < LONG:
        return f'<p class="verdict">{text(verdict)}</p>'
    rest = rest[0].upper() + rest[1:] if rest.startswith("from ") else rest
    return f'<p class="verdict">{text(first)}.<span class="rest">{text(rest)}</span></p>'


def _table(metric: str, entrants: Sequence[Entrant], runs: dict[str, RunView]) -> str:
    axis = _axis(entrants)
    rows = "".join(_row(entrant, axis, runs) for entrant in entrants)
    mode = next((run.mode for run in runs.values() if run.metric == metric), "max")
    name = text(metric or "no metric known")
    return (
        f'<h3>{name} <span class="muted small">{"smaller" if mode == "min" else "larger"} is better</span></h3>'
        '<div class="table"><table class="entrants" data-sortable><thead><tr><th scope="col">Entrant</th>'
        '<th scope="col">State</th><th scope="col" class="number">Score</th>'
        '<th scope="col" data-sort="no" class="axis">95% interval, or mean and deviation over seeds</th>'
        '<th scope="col" class="number">Items</th><th scope="col" class="number">Training</th></tr></thead>'
        f'<tbody>{rows}</tbody><tfoot><tr><td></td><td></td><td></td><td class="axis">{labels(axis)}</td>'
        "<td></td><td></td></tr></tfoot></table></div>"
    )


def _axis(entrants: Sequence[Entrant]) -> Axis:
    """Of several runs, without their baselines: these lie far below and would press the runs into one point."""
    scored = [entrant for entrant in entrants if entrant.mean is not None]
    runs = [entrant for entrant in scored if not entrant.baseline]
    values: list[float | None] = []
    for entrant in runs if len(runs) > 1 else scored:
        spread = entrant.deviation or 0.0
        mean = entrant.mean or 0.0
        values += [*(entrant.ci95 or ()), *entrant.values, mean - spread, mean + spread]
    return Axis(values)


def _row(entrant: Entrant, axis: Axis, runs: dict[str, RunView]) -> str:
    many = len(entrant.values) > 1
    drawn = interval(
        axis,
        entrant.mean,
        None if many else entrant.ci95,
        each=entrant.values if many else (),
        spread=entrant.deviation,
        style="baseline" if entrant.baseline else "",
    )
    value, _, around = score_text(entrant).partition(" ")
    score = f'<span class="score">{text("none" if entrant.mean is None else value)}</span>'
    if around.startswith("±"):
        score += f" {text(around)}"
    elif around:
        score += f'<br><span class="muted small">{text(around)}</span>'
    if many:
        score += f'<br><span class="muted small">{len(entrant.values)} runs</span>'
    seconds = [value for value in entrant.seconds if value is not None]
    mean = sum(seconds) / len(seconds) if seconds else None
    key = "" if entrant.mean is None else repr(entrant.mean)
    items = "" if entrant.n is None else f"{entrant.n:,}"
    return (
        f'<tr><td class="name">{_name(entrant)}</td><td>{_states(entrant, runs)}</td>'
        f'<td class="number" data-value="{key}">{score}</td><td class="axis">{drawn}</td>'
        f'<td class="number" data-value="{entrant.n if entrant.n is not None else ""}">{items}</td>'
        f'<td class="number" data-value="{"" if mean is None else mean}">'
        f"{'' if mean is None else text(duration(mean))}</td></tr>"
    )


def _name(entrant: Entrant) -> str:
    if entrant.baseline:
        kind = "" if "baseline" in entrant.label else ' <span class="muted small">baseline</span>'
        return f"{text(entrant.label)}{kind}"
    marks = "".join(map(swatch, entrant.runs[:4]))
    folded = ""
    if len(entrant.runs) > 1:
        folded = f'<br><span class="muted small">{text(", ".join(entrant.runs))}</span>'
    return f"{marks}{text(entrant.label)}{folded}"


def _states(entrant: Entrant, runs: dict[str, RunView]) -> str:
    """The states of its runs, each once; a baseline has none of its own."""
    if entrant.baseline:
        return ""
    members = [runs[name] for name in entrant.runs if name in runs]
    if len(members) == 1:
        return badge(members[0])
    counts: dict[str, int] = {}
    for run in members:
        counts[run.state] = counts.get(run.state, 0) + 1
    return " ".join(
        f'<span class="badge {text(state)}">{text(state)}{f" × {count}" if count > 1 else ""}</span>'
        for state, count in counts.items()
    )
