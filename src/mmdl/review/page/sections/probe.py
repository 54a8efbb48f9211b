"""The fixed probe items over the training: when each answer became right, and what it was before."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmdl.review.browsing.item_images import ItemImages, item_images
from mmdl.review.browsing.probe_records import Probe, ProbeAnswer, read_probe
from mmdl.review.browsing.record_facts import ItemFacts
from mmdl.review.browsing.shown import shown
from mmdl.review.model import Review
from mmdl.review.page.section import Section, text

MOST_RUNS, MOST_ITEMS, MOST_STEPS = 4, 40, 40


def section(review: Review) -> Section | None:
    """Strips of the probe items, a square for each validation; None where no run has a probe set."""
    probes = [(run.id, found) for run in review.runs if (found := read_probe(run.path)) is not None]
    if not probes:
        return None
    gaps = [f"{run}: {gap}" for run, found in probes for gap in found.gaps]
    shown_probes = [(run, found) for run, found in probes if found.items][:MOST_RUNS]
    parts = []
    if shown_probes:
        parts.append(
            '<p class="note">The same items at every validation and in every run. A square is a validation: '
            '<i class="validation right"></i> right, <i class="validation partly"></i> partly, '
            '<i class="validation wrong"></i> wrong. '
            "Hover over a strip, or focus it, for the answers.</p>"
        )
        parts += [_table(group, item_images(review)) for group in _groups(shown_probes)]
    if len(probes) > MOST_RUNS:
        parts.append(f'<p class="note">The first {MOST_RUNS} of {len(probes)} runs with a probe set.</p>')
    if gaps:
        parts.append(
            f'<div class="gaps"><ul>{"".join(f"<li>{text(shown(g, 300))}</li>" for g in gaps[:12])}</ul></div>'
        )
    return Section(
        "probe", "Probe items over the training", "".join(parts), None, ("predictions.css", "probe.css")
    )


def _groups(probes: list[tuple[str, Probe]]) -> list[list[tuple[str, Probe]]]:
    """Runs that share probe items stand in one table."""
    groups: list[list[tuple[str, Probe]]] = []
    for entry in probes:
        kind, names = entry[1].kind, entry[1].items.keys()
        for group in groups:
            if group[0][1].kind == kind and group[0][1].items.keys() & names:
                group.append(entry)
                break
        else:
            groups.append([entry])
    return groups


def _table(probes: list[tuple[str, Probe]], images: ItemImages) -> str:
    items: dict[str, tuple[Probe, ItemFacts]] = {}
    for _, found in probes:
        for name, facts in found.items.items():
            items.setdefault(name, (found, facts))
    kept = list(items)[:MOST_ITEMS]
    heads = "".join(f'<th scope="col">{text(shown(run, 60))}</th>' for run, _ in probes)
    sums = "".join(f"<td>{_progress(found, kept)}</td>" for _, found in probes)
    rows = [
        f'<tr><th scope="row">{_item(name, *items[name], images)}</th>'
        + "".join(f"<td>{_strip(found, name)}</td>" for _, found in probes)
        + "</tr>"
        for name in kept
    ]
    more = (
        f'<p class="note">The first {MOST_ITEMS} of {len(items):,} items.</p>'
        if len(items) > MOST_ITEMS
        else ""
    )
    return (
        '<div class="table probe" tabindex="0" role="region" aria-label="Probe items"><table><thead><tr>'
        f'<th scope="col">item</th>{heads}</tr></thead><tbody>'
        f'<tr class="sum"><th scope="row">mean score</th>{sums}</tr>'
        f"{''.join(rows)}</tbody></table></div>{more}"
    )


def _item(name: str, probe: Probe, facts: ItemFacts, images: ItemImages) -> str:
    place = images.place(probe.split, facts.image)
    picture = (
        f'<img class="picture" style="--side:44px" src="{images.found[place]}" alt="">' if place >= 0 else ""
    )
    said = facts.query or name
    right = facts.references[0][0] if facts.references else ""
    reference = f'<span class="reference" dir="auto">{text(shown(right, 60))}</span>' if right else ""
    return (
        f'<div class="probed">{picture}<div><span class="asked" dir="auto" title="{text(shown(said, 400))}">'
        f"{text(shown(said, 120))}</span>{reference}</div></div>"
    )


def _strip(probe: Probe, name: str) -> str:
    steps = _thinned([step for step in probe.steps if (name, step) in probe.answers])
    if not steps:
        return '<span class="muted">not in its probe set</span>'
    answers = [probe.answers[name, step] for step in steps]
    cells = "".join(f'<i class="validation {_kind(answer)}"></i>' for answer in answers)
    lines = "".join(
        f'<li><span class="muted">step {step:,}</span><i class="validation {_kind(answer)}"></i>'
        f'<span dir="auto">{text(_said(answer))}</span></li>'
        for step, answer in zip(steps, answers, strict=True)
    )
    return (
        f'<div class="strip" tabindex="0" role="group" aria-label="{len(steps):,} validations">'
        f'<div class="strip-of-cells">{cells}</div><span class="last" dir="auto">{text(_said(answers[-1], 32))}</span>'
        f'<ol class="history">{lines}</ol></div>'
    )


def _progress(probe: Probe, names: list[str]) -> str:
    """Mean score at the first and the last validation."""
    means = []
    for step in probe.steps:
        scores = [a.score for name in names if (a := probe.answers.get((name, step))) and a.score is not None]
        means.append((float(np.mean(scores)), len(scores)) if scores else (math.nan, 0))
    known = [(mean, n) for mean, n in means if n]
    if not known:
        return '<span class="muted">no references</span>'
    return f"{100 * known[0][0]:.0f}% → <b>{100 * known[-1][0]:.0f}%</b> of {known[-1][1]}"


def _kind(answer: ProbeAnswer) -> str:
    if answer.score is None:
        return "none"
    return (
        "right"
        if answer.score >= 0.9995
        else "partly"
        if answer.score > 0 or 1 < answer.rank <= 5
        else "wrong"
    )


def _said(answer: ProbeAnswer, most: int = 120) -> str:
    value = "" if math.isnan(answer.value) else f" {answer.value:.2f}"
    if answer.rank:
        return (
            f"rank {answer.rank:,}"
            if answer.rank == 1
            else f"rank {answer.rank:,}; first: {shown(answer.text, most)}"
        )
    return f"{shown(answer.text, most) or '(empty)'}{value}"


def _thinned(steps: list[Any]) -> list[Any]:
    if len(steps) <= MOST_STEPS:
        return steps
    return [steps[place] for place in np.unique(np.linspace(0, len(steps) - 1, MOST_STEPS).astype(int))]
