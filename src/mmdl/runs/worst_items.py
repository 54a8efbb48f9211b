"""The most confident mistakes among predictions that were written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmdl.runs.item_records import image_key, kind_of, score_of


def worst_images(folder: Path, name: str, most: int) -> list[str]:
    """Keys of the images about which a run was wrong with the greatest confidence, the worst first.

    A caption's mistake has two images: its own, and the one that was taken for it.

    Args:
        folder: Of the predictions.
        name: Of the run's own predictions on a split; of retrieval, without the direction.
        most: How many.
    """
    confidence: dict[str, float] = {}
    for suffix in ("", "_text_to_image", "_image_to_text"):
        for record in _records(folder / f"{name}{suffix}.jsonl"):
            kind = kind_of(record)
            score = score_of(kind, record) if kind else None
            if score is None or score >= 0.5 or not record.get("top"):
                continue
            best: Mapping[str, Any] = record["top"][0]
            sure = best.get("probability", best.get("similarity"))
            for key in (image_key(record), best.get("image")):
                if key is not None and sure is not None:
                    confidence[str(key)] = max(float(sure), confidence.get(str(key), float("-inf")))
    return sorted(confidence, key=lambda key: (-confidence[key], key))[:most]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
