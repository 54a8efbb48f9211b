"""What the browser's script reads: the kept items of each set in columns, each text and each image once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmdl.review.browsing.item_images import ItemImages
from mmdl.review.browsing.prediction_sets import Column, PredictionSet
from mmdl.review.browsing.selection import MOST_ANSWERS, MOST_ITEMS, selected, shares
from mmdl.review.browsing.shown import shown

PROMPT_PARTS, PROMPT_CHARACTERS = 70, 3_000_000
"""Parts of one few-shot prompt, and characters of all of them."""
MISSING, NO_REFERENCE = None, -1


def payload(sets: list[PredictionSet], images: ItemImages, most: int = MOST_ITEMS) -> dict[str, Any]:
    """The items as JSON.

    Args:
        sets: Of a review.
        images: Those that a page can hold are put into it.
        most: Items in all.

    Returns:
        `sets` and `images` (data URIs). Of each set: `name, kind, metric, split, total, texts`, and by item `ids,
        image, key, query, references, groups` and `columns` with `score` and `top`. Texts and images are places in
        `texts` and `images`.
    """
    columns = max((len(found.columns) for found in sets), default=1)
    most = min(most, max(60, MOST_ANSWERS // columns))
    counts = shares([len(found.ids) for found in sets], most)
    return {
        "sets": [_set(found, images, count) for found, count in zip(sets, counts, strict=True)],
        "images": images.found,
    }


class _Texts:
    """Gives each text a place; the same text, the same place."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._places: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        if text not in self._places:
            self._places[text] = len(self.found)
            self.found.append(shown(text))
        return self._places[text]


def _set(found: PredictionSet, images: ItemImages, most: int) -> dict[str, Any]:
    with_image = np.array([images.has(found.name, facts.image) for facts in found.facts], dtype=np.bool_)
    ranked = selected(found, with_image, most)
    # images are taken in this order, until there is room for no more
    place_of = {
        int(row): images.place(found.name, found.facts[row].image) if with_image[row] else -1
        for row in ranked
    }
    rows = np.sort(ranked)
    texts = _Texts()
    groups = sorted({name for row in rows for name, value in found.facts[row].groups.items() if value})
    made: dict[str, Any] = {
        "name": found.name,
        "kind": found.kind,
        "metric": shown(found.metric, 80),
        "split": shown(found.split, 40),
        "total": len(found.ids),
        "ids": [shown(found.ids[row], 200) for row in rows],
        "image": [place_of[int(row)] for row in rows],
        "query": [texts(found.facts[row].query) for row in rows],
        "references": [
            [part for text, n in found.facts[row].references[:12] for part in (texts(text), n)]
            for row in rows
        ],
        "groups": {name: [texts(found.facts[row].groups.get(name, "")) for row in rows] for name in groups},
        "columns": [_column(found, column, rows, texts) for column in found.columns],
    }
    if found.kind != "classification":  # there it is the id
        made["key"] = [texts(found.facts[row].image) for row in rows]
    if any(found.facts[row].prompt for row in rows):
        made["prompt"] = _prompts(found, rows, texts, images)
    if found.images:
        keys = {
            texts(found.texts[t]): found.texts[t]
            for c in found.columns
            for t in np.unique(c.texts[rows])
            if t >= 0
        }
        made["pictures"] = [
            images.place(found.name, keys[t]) if t in keys else -1 for t in range(len(texts.found))
        ]
    made["texts"] = texts.found
    return made


def _column(found: PredictionSet, column: Column, rows: Any, texts: _Texts) -> dict[str, Any]:
    top: list[list[float | int | None] | None] = []
    for row in rows:
        if not column.answered[row]:
            top.append(None)
            continue
        flat: list[float | int | None] = []
        for text, value, right in zip(column.texts[row], column.values[row], column.right[row], strict=True):
            if text >= 0:
                flat += [texts(found.texts[text]), _rounded(float(value))]
                if found.kind == "retrieval":
                    flat.append(int(right))
        top.append(flat)
    scores = [
        MISSING if not answered else _rounded(score, NO_REFERENCE)
        for score, answered in zip(column.scores[rows].tolist(), column.answered[rows].tolist(), strict=True)
    ]
    made = {
        "label": shown(column.label, 80),
        "run": shown(column.run, 80),
        "baseline": column.baseline,
        "mean": _rounded(float(np.mean(column.scores[known])))
        if (known := np.isfinite(column.scores)).any()
        else None,
        "n": int(known.sum()),
        "score": scores,
        "top": top,
    }
    return made | ({"rank": column.ranks[rows].tolist()} if found.kind == "retrieval" else {})


def _prompts(found: PredictionSet, rows: Any, texts: _Texts, images: ItemImages) -> list[list[int]]:
    """Of each item: image, text, image, text ...; -1 for an image that is not there, or a prompt without one: -2."""
    left, prompts = PROMPT_CHARACTERS, []
    for row in rows:
        flat: list[int] = []
        for key, text in found.facts[row].prompt[-PROMPT_PARTS:]:
            left -= len(shown(text))
            if left > 0:
                flat += [images.place(found.name, key) if key else -2, texts(text)]
        prompts.append(flat)
    return prompts


def _rounded(value: float, otherwise: float | None = None) -> float | None:
    return round(value, 4) if math.isfinite(value) else otherwise
