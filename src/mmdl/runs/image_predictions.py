"""Predictions of a classifier per image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdl.runs.top_items import top_items

if TYPE_CHECKING:
    from mmdl.data.images import ImageDataModule

TOP = 5
CHUNK = 4096
"""Images that are ranked at once: with many classes the order of all takes more memory than the probabilities."""


def image_records(
    data: ImageDataModule, split: str, outputs: Mapping[str, np.ndarray[Any, Any]]
) -> list[dict[str, Any]]:
    """One record an image: `id`, `label` (None without references), `prediction`, `correct`, and `top`.

    Args:
        data: Has the split and the classes.
        split: Which split the outputs are of.
        outputs: `rows` (N,) int64 and `probabilities` (N, K) float32.
    """
    classes, ids = data.classes, data.dataset(split).split.ids
    labels = data.dataset(split).split.labels
    records = []
    for start in range(0, len(outputs["rows"]), CHUNK):
        probabilities = outputs["probabilities"][start : start + CHUNK]
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
        chances = np.take_along_axis(probabilities, best, axis=1)
        rows = outputs["rows"][start : start + CHUNK].tolist()
        for row, columns, values in zip(rows, best.tolist(), chances.tolist(), strict=True):
            label = int(labels[row])
            records.append(
                {
                    "id": ids[row],
                    "label": classes[label] if label >= 0 else None,
                    "prediction": classes[columns[0]],
                    "correct": columns[0] == label if label >= 0 else None,
                    "top": top_items("class", classes, columns, values),
                }
            )
    return records


def constant_records(
    data: ImageDataModule, split: str, rows: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]
) -> list[dict[str, Any]]:
    """Records as of `image_records`, of a classifier that says the same of each image: how common the classes are.

    Args:
        data: Has the split and the classes.
        split: Which split.
        rows: `(N,)` int64.
        counts: `(K,)` images of each class.
    """
    best = np.argsort(-counts, kind="stable")[:TOP].tolist()
    shares = (counts[best] / max(1, int(counts.sum()))).tolist()
    top = top_items("class", data.classes, best, shares)
    ids, labels = data.dataset(split).split.ids, data.dataset(split).split.labels
    return [
        {
            "id": ids[row],
            "label": data.classes[label] if label >= 0 else None,
            "prediction": top[0]["class"],
            "correct": label == best[0] if label >= 0 else None,
            "top": top,
        }
        for row, label in zip(rows.tolist(), labels[rows].tolist(), strict=True)
    ]
