"""Confusion of classes: a matrix where it can be read, the most confused pairs and the worst classes where it can't."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mmdl.review.browsing.confusion import Confusion, count_confusion, natural, read_confusion
from mmdl.review.browsing.prediction_sets import prediction_sets
from mmdl.review.browsing.shown import shown
from mmdl.review.model import Review
from mmdl.review.page.section import Section

MOST_CLASSES = 40
"""Classes of a matrix that a person can read."""
MOST_PAIRS, MOST_WORST = 400, 400
"""Rows of the lists that stand in place of a larger matrix."""
MOST_RUNS = 30
SCRIPTS = ("theme.js", "series.js", "browse_rows.js", "confusion.js", "predictions.css", "confusion.css")


def section(review: Review) -> Section | None:
    """The confusion of each set of classified images or answered questions."""
    paths = {run.id: run.path for run in review.runs}
    tables = []
    for found in prediction_sets(review)[0]:
        if found.kind not in ("classification", "vqa"):
            continue
        known: list[tuple[str, Confusion]] = []
        for column in [column for column in found.columns if not column.baseline][:MOST_RUNS]:
            counted = None
            if found.kind == "classification":
                counted = read_confusion(
                    paths[column.run] / "evaluation" / found.name / "confusion_matrix.csv"
                )
            counted = counted or count_confusion(found, column)
            if counted is not None:
                known.append((column.label, counted))
        if known:
            title = f"{shown(found.split, 40)} · {'classes' if found.kind == 'classification' else 'answers'}"
            tables.append(_table(title, found.name, found.kind, known))
    tables += _other_tables(review)
    return Section("confusion", "Confusion of classes", HTML, tables, SCRIPTS) if tables else None


def _other_tables(review: Review) -> list[dict[str, Any]]:
    """Matrices of further evaluators, such as zero-shot classification; their items are in no file of predictions."""
    found: dict[tuple[str, str], list[tuple[str, Confusion]]] = {}
    for run in review.runs[:MOST_RUNS]:
        for path in sorted((run.path / "evaluation").glob("*/*_confusion.csv")):
            counted = read_confusion(path)
            if counted is not None:
                name = path.stem.removesuffix("_confusion").replace("_", " ")
                found.setdefault((path.parent.name, name), []).append((run.id, counted))
    return [
        _table(f"{shown(split, 40)} · {shown(name, 60)}", "", "classification", known)
        for (split, name), known in found.items()
    ]


def _table(title: str, name: str, kind: str, known: list[tuple[str, Confusion]]) -> dict[str, Any]:
    """One table as JSON; `name` is that of its predictions, or empty."""
    classes = list(dict.fromkeys(name for _, counted in known for name in counted.classes))
    if any(counted.source == "predictions" for _, counted in known):
        classes.sort(key=natural)
    made: dict[str, Any] = {
        "set": name,
        "kind": kind,
        "title": title,
        "runs": [shown(label, 80) for label, _ in known],
        "total": len(classes),
        "group": "class" if kind == "classification" else "answer",
    }
    if len(classes) <= MOST_CLASSES:
        place = {name: n for n, name in enumerate(classes)}
        cells = [[[place[one], place[other], n] for (one, other), n in c.counts.items()] for _, c in known]
        return made | {"classes": [shown(name, 80) for name in classes], "cells": cells}
    return made | _lists(known)


def _lists(known: list[tuple[str, Confusion]]) -> dict[str, Any]:
    """The most confused pairs and the worst classes of any run, with the counts of every run."""
    pairs: Counter[tuple[str, str]] = Counter()
    missed: Counter[str] = Counter()
    of_class = [counted.of_class() for _, counted in known]
    for (_, counted), classes in zip(known, of_class, strict=True):
        for pair, n in counted.counts.items():
            if pair[0] != pair[1]:
                pairs[pair] = max(pairs[pair], n)
        for name, (right, true, _) in classes.items():
            if true:
                # the worst recall first, and of equals the class with more items
                missed[name] = max(missed[name], round(1e6 * (true - right) / true) + min(true, 1000))
    chosen, worst = pairs.most_common(MOST_PAIRS), missed.most_common(MOST_WORST)
    return {
        "pairs": [
            [shown(one, 80), shown(other, 80), [c.counts.get((one, other), 0) for _, c in known]]
            for (one, other), _ in chosen
        ],
        "left": [max(0, len(pairs) - MOST_PAIRS), max(0, len(missed) - MOST_WORST)],
        "worst": [
            [shown(name, 80), [classes.get(name, (0, 0, 0)) for classes in of_class]] for name, _ in worst
        ],
    }


HTML = """
<div id="confusion-view">
<noscript><p class="note">The matrix needs scripts.</p></noscript>
<div class="toolbar">
<label>Items <select data-part="table"></select></label>
<label>Run <select data-part="run"></select></label>
<label>minus <select data-part="minus"></select></label>
<span class="segmented" role="group" aria-label="Cells show" data-part="units">
<button type="button" data-unit="count" aria-pressed="true">Counts</button>
<button type="button" data-unit="share" aria-pressed="false">% of row</button></span>
</div>
<p class="note" data-part="note"></p>
<div data-part="view"></div>
</div>
"""
