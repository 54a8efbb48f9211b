"""All figures of all summaries as one table: sorted, filtered, runs as columns or as rows."""

from __future__ import annotations

from typing import Any

from mmdl.review.model import Figure, Review
from mmdl.review.page.section import Section, text

MOST_CELLS = 60_000
"""Figures of the page over all runs; beyond, those of single classes and question types are left out."""
LESS_IS_BETTER = ("loss", "error", "perplexity", "nll", "brier", "ece", "calibration", "bits_per")
MORE_IS_BETTER = ("accuracy", "recall", "precision", "f1", "auc", "cider", "bleu", "map")
SCRIPTS = ("metrics.js",)


def section(review: Review) -> Section:
    """The section; its script builds the table from its data."""
    names: dict[str, None] = {}
    for run in review.runs:
        names.update(dict.fromkeys(run.summary))
    if not names:
        return Section("metrics", "Metrics", '<p class="note">No run has a summary yet.</p>')
    main = list(dict.fromkeys(run.metric for run in review.runs if run.metric in names))
    order = sorted(names, key=lambda name: (name not in main, name.count("/") > 1, _rank(name)))
    most = max(50, MOST_CELLS // max(1, len(review.runs)))
    kept = order[:most]
    notes = []
    if len(order) > most:
        notes.append(
            f"{len(order) - most:,} of {len(order):,} figures are left out of the page, those of single classes first; "
            "summary.json of each run holds all"
        )
    notes += [
        f"{run.id} ({run.state}) has no summary{' yet' if run.state == 'running' else ''}"
        for run in review.runs
        if not run.summary
    ]
    modes = {run.metric: run.mode for run in review.runs}
    data = {
        "runs": [run.id for run in review.runs],
        "main": main,
        "figures": [
            {
                "name": name,
                "better": modes.get(name) or _better(name),
                "cells": [_cell(run.summary.get(name)) for run in review.runs],
            }
            for name in kept
        ],
    }
    html = (
        '<div id="metrics-table"></div><noscript><p class="note">The table needs JavaScript.</p></noscript>'
        + "".join(f'<p class="note">{text(note)}.</p>' for note in notes[:12])
        + (
            f'<p class="note">And {len(notes) - 12} more runs without a summary.</p>'
            if len(notes) > 12
            else ""
        )
    )
    return Section("metrics", "Metrics", html, data, SCRIPTS)


def _rank(name: str) -> tuple[int, str]:
    """Scores of the test first, then of the baselines, of validation, and what was only counted."""
    order = ("test", "baseline", "best", "val", "train")
    first = name.split("/")[0]
    return (order.index(first) if first in order else len(order), name)


def _better(name: str) -> str | None:
    """Which way is better, where the name says it."""
    words = name.lower()
    if words.startswith(("time/", "parameters", "steps", "best/step")):
        return None
    if any(word in words for word in LESS_IS_BETTER):
        return "min"
    return "max" if any(word in words for word in MORE_IS_BETTER) else None


def _cell(figure: Figure | None) -> list[Any] | None:
    """`[value, n, low, high]`, cut where nothing follows; null: the run has no such figure; value null: no number."""
    if figure is None:
        return None
    value = None if figure.value is None else float(f"{figure.value:.7g}")
    cell: list[Any] = [value, figure.n, *(round(end, 6) for end in figure.ci95 or ())]
    if cell[1:] == [None]:
        return cell[:1]
    return cell
