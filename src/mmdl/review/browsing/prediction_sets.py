"""The predictions of all runs of a review, item by item: which runs answered the same question, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdl.review.browsing.record_facts import (
    TOP,
    ItemFacts,
    best_answers,
    finds_images,
    item_facts,
    rank_of,
)
from mmdl.review.items import list_items, read_items
from mmdl.review.model import Items, Review, RunView

BASELINE = "_baseline_"


@dataclass
class Column:
    """What one run, or a baseline of it, answered to the items of a set; N items, at most K answers each.

    Attributes:
        label: Short and unique in the set.
        run: Id of the run.
        baseline: Name of the baseline, or empty.
        scores: `(N,)` float64 in [0, 1]; NaN where there is no reference.
        answered: `(N,)` whether it has a record of the item.
        texts: `(N, K)` int32 places in the set's `texts`, the best answer first; -1: none.
        values: `(N, K)` float32 probabilities or similarities; NaN: none.
        right: `(N, K)` int8: 1 right, 0 wrong, -1 not told.
        ranks: `(N,)` int32 rank of the best right item in a retrieval, from 1; 0: none.
    """

    label: str
    run: str
    baseline: str
    scores: NDArray[np.float64]
    answered: NDArray[np.bool_]
    texts: NDArray[np.int32]
    values: NDArray[np.float32]
    right: NDArray[np.int8]
    ranks: NDArray[np.int32]


@dataclass
class PredictionSet:
    """The items of one split and task, and what each entrant answered.

    Attributes:
        name: Of the files: `test`, `test_text_to_image`.
        kind: `vqa`, `classification`, `retrieval` or `generation`.
        split: Such as `test`.
        metric: What the scores average to.
        columns: Runs in the order of the review, each before its baselines.
        ids: Of each item; an id with another reference is another item.
        facts: Of each item.
        owners: Of each item, the id of the first run that has it.
        texts: Answers, classes, captions or keys of images; a column points into it.
        images: Whether the answers are images.
    """

    name: str
    kind: str
    split: str
    metric: str
    columns: list[Column] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    facts: list[ItemFacts] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    images: bool = False


def prediction_sets(review: Review) -> tuple[list[PredictionSet], list[str]]:
    """The sets of a review, `test` first, and one sentence for each thing that is missing or damaged.

    They are read once, and kept in `review.shared`.
    """
    if "prediction_sets" not in review.shared:
        review.shared["prediction_sets"] = _read(review)
    found: tuple[list[PredictionSet], list[str]] = review.shared["prediction_sets"]
    return found


def column_label(run: str, baseline: str = "") -> str:
    """The name of a run's column, or of that of a baseline of it.

    >>> column_label("film", "question_only")
    'film · question only'
    """
    return f"{run} · {baseline.replace('_', ' ')}" if baseline else run


def columns_of_entrants(review: Review) -> dict[str, str]:
    """Label of an entrant -> that of its column; entrants of several runs, and those without predictions, have none."""
    known = {column.label for found in prediction_sets(review)[0] for column in found.columns}
    labels = {
        entrant.label: column_label(entrant.runs[0], entrant.baseline)
        for entrant in review.entrants
        if entrant.runs and (entrant.baseline or len(entrant.runs) == 1)
    }
    return {entrant: label for entrant, label in labels.items() if label in known}


def _read(review: Review) -> tuple[list[PredictionSet], list[str]]:
    builders: dict[tuple[str, str], _Builder] = {}
    gaps: list[str] = []
    for run in review.runs:
        names = sorted(
            list_items(run.path), key=lambda name: (name.partition(BASELINE)[0], BASELINE in name, name)
        )
        if not names:
            gaps.append(f"{run.id}: no predictions ({_why(run)})")
        for name in names:
            base, _, baseline = name.partition(BASELINE)
            found = read_items(run.path, name)
            if isinstance(found, str):
                gaps.append(f"{run.id}: {found}")
                continue
            gaps += [f"{run.id}: {gap}" for gap in found.gaps]
            builder = builders.setdefault((base, found.kind), _Builder(PredictionSet(base, *_head(found))))
            builder.add(run, baseline, found)
    sets = [builder.finished() for builder in builders.values()]
    return sorted(
        sets, key=lambda one: (not one.name.startswith("test"), one.name.endswith("image_to_text"))
    ), gaps


def _head(items: Items) -> tuple[str, str, str]:
    return items.kind, items.split, items.metric


def _why(run: RunView) -> str:
    if run.state in ("running", "preempted"):
        return f"it is {run.state}; they are written at its end"
    return "it did not get to its end" if run.state != "finished" else "none in its folder"


class _Builder:
    """Puts the records of one file after the other into a set, and keeps no record itself: 50 runs fit in memory."""

    def __init__(self, made: PredictionSet) -> None:
        self.made = made
        self._places: dict[tuple[str, str], int] = {}
        self._texts: dict[str, int] = {}
        self._rows: list[NDArray[np.int64]] = []

    def add(self, run: RunView, baseline: str, items: Items) -> None:
        made, count = self.made, len(items.ids)
        places = np.empty(count, dtype=np.int64)
        texts = np.full((count, TOP), -1, dtype=np.int32)
        values = np.full((count, TOP), np.nan, dtype=np.float32)
        right = np.full((count, TOP), -1, dtype=np.int8)
        ranks = np.array([rank_of(record) for record in items.records], dtype=np.int32)
        for row, (key, record) in enumerate(
            zip(zip(items.ids, items.references, strict=True), items.records, strict=True)
        ):
            place = self._places.get(key)
            if place is None:
                place = self._places[key] = len(made.ids)
                made.ids.append(key[0])
                made.facts.append(item_facts(made.kind, record))
                made.owners.append(run.id)
            places[row] = place
            self._take(record, texts[row], values[row], right[row])
        made.images |= made.kind == "retrieval" and any(map(finds_images, items.records[:3]))
        label = column_label(run.id, baseline)
        made.columns.append(
            Column(
                label,
                run.id,
                baseline,
                items.scores,
                np.zeros(0, dtype=np.bool_),
                texts,
                values,
                right,
                ranks,
            )
        )
        self._rows.append(places)

    def _take(self, record: dict[str, Any], texts: Any, values: Any, right: Any) -> None:
        for place, answer in enumerate(best_answers(self.made.kind, record)):
            texts[place] = self._texts.setdefault(answer.text, len(self._texts))
            values[place] = answer.value
            right[place] = -1 if answer.right is None else int(answer.right)

    def finished(self) -> PredictionSet:
        """The set, with the columns spread over the items of all of them."""
        made, count = self.made, len(self.made.ids)
        made.texts = list(self._texts)
        for column, places in zip(made.columns, self._rows, strict=True):
            column.scores = _spread(column.scores, places, np.full(count, np.nan))
            column.texts = _spread(column.texts, places, np.full((count, TOP), -1, dtype=np.int32))
            column.values = _spread(column.values, places, np.full((count, TOP), np.nan, dtype=np.float32))
            column.right = _spread(column.right, places, np.full((count, TOP), -1, dtype=np.int8))
            column.ranks = _spread(column.ranks, places, np.zeros(count, dtype=np.int32))
            answered = np.zeros(count, dtype=np.bool_)
            answered[places] = True
            column.answered = answered
        return made


def _spread(rows: NDArray[Any], places: NDArray[Any], into: NDArray[Any]) -> NDArray[Any]:
    into[places] = rows
    return into
