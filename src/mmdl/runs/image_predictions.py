"""Predictions of a classifier per image, and the table for the tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdl.runs.top_items import top_items

if TYPE_CHECKING:
    from mmdl.data.images import ImageDataModule

TOP = 5


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
    probabilities = outputs["probabilities"]
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    chances = np.take_along_axis(probabilities, best, axis=1)
    records = []
    for row, columns, values in zip(outputs["rows"].tolist(), best.tolist(), chances.tolist(), strict=True):
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


def image_table(
    data: ImageDataModule, split: str, outputs: Mapping[str, np.ndarray[Any, Any]], most: int = 64
) -> dict[str, Any]:
    """Columns and rows of a table with images (as `(H, W, C)` uint8 arrays), the most confident mistakes first.

    Args:
        data: Has the split.
        split: Which split.
        outputs: As for `image_records`.
        most: Rows at most.
    """
    rows, probabilities = outputs["rows"], outputs["probabilities"]
    labels = data.dataset(split).split.labels[rows]
    wrong = probabilities.argmax(1) != labels
    order = np.lexsort((-probabilities.max(1), ~wrong))[:most]
    part = {"rows": rows[order], "probabilities": probabilities[order]}
    images = data.dataset(split)[part["rows"].astype(np.int64)]["images"].cpu().permute(0, 2, 3, 1).numpy()
    columns = ["image", "label", "prediction", "top", "correct", "id"]
    table = []
    for image, record in zip(images, image_records(data, split, part), strict=True):
        top = ", ".join(f"{item['class']} {item['probability']:.2f}" for item in record["top"])
        table.append([image, record["label"], record["prediction"], top, record["correct"], record["id"]])
    return {"columns": columns, "rows": table}
