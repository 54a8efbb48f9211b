"""Data report: whether runs saw the same data, how much of it, what was left out and why, and what is in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from mmdl.review.browsing.prediction_sets import PredictionSet, prediction_sets
from mmdl.review.browsing.shown import shown
from mmdl.review.model import Review, RunView
from mmdl.review.page.section import Section, text

HASHES = 10
"""Digits of a hash that are shown."""
MOST_ROWS = 60
MOST_VALUES = 20


def section(review: Review) -> Section | None:
    """The report on the data of all runs."""
    if not review.runs:
        return None
    reports = {run.id: _report(run) for run in review.runs}
    parts = [_sameness(review.runs), _sizes(review.runs, reports), _skipped(review.runs, reports)]
    parts += [_cautions(review.runs, reports), _contents(prediction_sets(review)[0])]
    return Section("data", "Data", "".join(parts), None, ("data.css",))


def _report(run: RunView) -> dict[str, Any]:
    try:
        found = json.loads((run.path / "data_report.json").read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return {"damaged": True}
    return found if isinstance(found, dict) else {"damaged": True}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sameness(runs: list[RunView]) -> str:
    """Whether the hashes of the runs' data are equal, part by part."""
    hashes = {run.id: {str(k): str(v) for k, v in _mapping(run.manifest.get("data")).items()} for run in runs}
    known = {run: parts for run, parts in hashes.items() if parts}
    names = list(dict.fromkeys(name for parts in known.values() for name in parts))
    if not names:
        return '<p class="note">No run has kept hashes of its data.</p>'
    differing = [name for name in names if len({parts.get(name) for parts in known.values()}) > 1]
    missing = f" {_runs(set(hashes) - set(known))} kept no hashes." if len(known) < len(hashes) else ""
    if len(known) < 2:
        said, kind = (
            "The hashes of the data are below." if len(hashes) == 1 else "There is nothing to compare.",
            "",
        )
    elif differing:
        said, kind = f"Not the same in all runs: {', '.join(differing)}.", "bad"
    else:
        said, kind = (
            f"{'Both' if len(known) == 2 else f'All {len(known)}'} runs have the same data: {', '.join(names)}.",
            "ok",
        )
    badge = f'<span class="badge {kind}">{"differs" if kind == "bad" else "equal"}</span> ' if kind else ""
    rows = []
    for run, parts in list(known.items())[:MOST_ROWS]:
        cells = "".join(
            f'<td><code title="{text(shown(parts.get(name, ""), 100))}">'
            f"{text(shown(parts.get(name, 'none')[:HASHES]))}</code>"
            f"{_letter([p.get(name) for p in known.values()], parts.get(name)) if name in differing else ''}</td>"
            for name in names
        )
        rows.append(f'<tr><th scope="row">{text(shown(run, 80))}</th>{cells}</tr>')
    heads = "".join(f'<th scope="col">{text(shown(name, 60))}</th>' for name in names)
    table = _table("Hashes of the data", f'<th scope="col">run</th>{heads}', rows)
    is_open = " open" if differing else ""
    told = f"<p>{badge}{text(shown(said, 400))}{missing}</p>"
    return f"{told}<details{is_open}><summary>Hashes</summary>{table}</details>"


def _letter(values: list[str | None], value: str | None) -> str:
    """Equal hashes have the same letter."""
    place = list(dict.fromkeys(values)).index(value)
    return f' <span class="badge">{chr(65 + place)}</span>' if place < 26 else ""


def _sizes(runs: list[RunView], reports: Mapping[str, dict[str, Any]]) -> str:
    """Sizes of the splits; runs with the same sizes share a row."""
    rows: dict[str, list[str]] = {}
    for run in runs:
        splits = _mapping(reports[run.id].get("splits"))
        cells = []
        for name in ("train", "val", "test"):
            sizes = _mapping(_mapping(splits.get(name)).get("sizes"))
            told = "<br>".join(f"{_number(n)} {text(shown(unit, 40))}" for unit, n in list(sizes.items())[:8])
            cells.append(f'<td class="number">{told or _tested(run, name)}</td>')
        rows.setdefault("".join(cells), []).append(run.id)
    lines = [
        f'<tr><th scope="row">{_runs(names)}</th>{cells}</tr>'
        for cells, names in list(rows.items())[:MOST_ROWS]
    ]
    heads = '<th scope="col">run</th>' + "".join(
        f'<th scope="col" class="number">{name}</th>' for name in ("train", "val", "test")
    )
    damaged = [run for run, report in reports.items() if report.get("damaged")]
    older = [run for run, report in reports.items() if not report]
    notes = f'<p class="gaps">{_runs(damaged)}: data_report.json is damaged</p>' if damaged else ""
    if older:
        notes += f'<p class="note">{_runs(older)}: no data_report.json, so only what the summary tells is here.</p>'
    return f"<h3>Sizes of the splits</h3>{_table('Sizes of the splits', heads, lines)}{notes}"


def _tested(run: RunView, split: str) -> str:
    """Items of a split after the summary of an older run."""
    counts = [figure.n for name, figure in run.summary.items() if name.startswith(f"{split}/") and figure.n]
    return f"{max(counts):,} scored" if counts else '<span class="muted">not told</span>'


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else text(shown(value, 40))


def _skipped(runs: list[RunView], reports: Mapping[str, dict[str, Any]]) -> str:
    """Samples that were left out, by reason."""
    counts: dict[str, dict[str, int]] = {}
    for run in runs:
        marks = _mapping(run.manifest.get("marks"))
        for reason, n in _mapping(reports[run.id].get("skipped") or marks.get("skipped")).items():
            if isinstance(n, int) and n:
                counts.setdefault(str(reason), {})[run.id] = n
    if not counts:
        told = any(run.manifest or reports[run.id] for run in runs)
        return f"<h3>Skipped samples</h3><p>{'None was skipped.' if told else 'The runs do not tell.'}</p>"
    shown_runs = runs[:8]
    heads = '<th scope="col">reason</th>' + "".join(
        f'<th scope="col" class="number">{text(shown(run.id, 60))}</th>' for run in shown_runs
    )
    rows = [
        f'<tr><th scope="row" dir="auto">{text(shown(reason, 160))}</th>'
        + "".join(f'<td class="number">{by.get(run.id, 0):,}</td>' for run in shown_runs)
        + "</tr>"
        for reason, by in list(counts.items())[:MOST_ROWS]
    ]
    more = f'<p class="note">Of the first {len(shown_runs)} runs.</p>' if len(runs) > len(shown_runs) else ""
    return f"<h3>Skipped samples</h3>{_table('Skipped samples by reason', heads, rows)}{more}"


def _cautions(runs: list[RunView], reports: Mapping[str, dict[str, Any]]) -> str:
    """What a reader of scores must know of the data."""
    said: dict[str, list[str]] = {}
    for run in runs:
        report = reports[run.id]
        marks = {**_mapping(run.manifest.get("marks")), **_mapping(report.get("marks"))}
        lines = (
            ["trained on the validation split: its validation figures are not of unseen data"]
            if marks.get("trained_on_val")
            else []
        )
        lines += [
            f"{name.replace('_', ' ')}: {said}"
            for name, value in marks.items()
            if name not in ("trained_on_val", "skipped")
            for said in _lines(value)
        ]
        cautions = report.get("cautions")
        lines += [str(line) for line in cautions] if isinstance(cautions, list) else []
        for name, split in _mapping(report.get("splits")).items():
            notes = _mapping(split).get("notes")
            lines += [f"{name}: {note}" for note in notes] if isinstance(notes, list) else []
        for line in lines:
            said.setdefault(line, []).append(run.id)
    if not said:
        return ""
    rows = "".join(
        f"<li>{text(shown(line, 300))}{'' if len(names) == len(runs) else f' ({_runs(names)})'}</li>"
        for line, names in list(said.items())[:MOST_ROWS]
    )
    return f"<h3>To be known</h3><ul>{rows}</ul>"


def _lines(value: Any) -> list[str]:
    """A mark in words; none where it says that there is nothing."""
    if isinstance(value, list):
        return [str(line) for line in value if line]
    if isinstance(value, Mapping):
        told = ", ".join(f"{name} {said}" for name, said in value.items() if said)
        return [told] if told else []
    return [] if value in (None, False, 0, "") else [str(value)]


def _contents(sets: list[PredictionSet]) -> str:
    """How often each class, answer or type of question occurs among the scored items."""
    parts = []
    for found in sets:
        if found.kind not in ("classification", "vqa"):
            continue
        names = ("class",) if found.kind == "classification" else ("answer", "answer type")
        for name in names:
            counts = Counter(facts.groups.get(name, "") for facts in found.facts)
            counts.pop("", None)
            if counts:
                title = f"{name.capitalize()} in {found.split}"
                parts.append(f"<div><h4>{text(shown(title, 80))}</h4>{_bars(counts)}</div>")
    return f'<h3>What is in it</h3><div class="contents-of-data">{"".join(parts)}</div>' if parts else ""


def _bars(counts: Counter[str]) -> str:
    total, ranked = sum(counts.values()), counts.most_common()
    rows = "".join(
        f'<li><span dir="auto">{text(shown(name, 60))}</span>'
        f'<span class="much" style="--share:{n / ranked[0][1]:.3f}"></span>'
        f'<span class="number">{n:,} <span class="muted">{100 * n / total:.1f}%</span></span></li>'
        for name, n in ranked[:MOST_VALUES]
    )
    left = ranked[MOST_VALUES:]
    more = (
        f'<p class="note">{len(left):,} more, {sum(n for _, n in left):,} items; rarest: {ranked[-1][1]:,}.</p>'
        if left
        else ""
    )
    return f'<ul class="bars">{rows}</ul>{more}'


def _runs(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 6} more" if len(listed) > 6 else ""
    return text(", ".join(shown(name, 60) for name in listed[:6]) + more)


def _table(label: str, head: str, rows: list[str]) -> str:
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{text(label)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
