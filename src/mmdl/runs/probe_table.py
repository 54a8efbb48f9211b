"""What a model said of the same few items at each validation, as one table: an item a row, a validation a column."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmdl.review.images import item_images
from mmdl.runs.item_records import image_key
from mmdl.runs.item_tables import ItemTable, Picture, Record, read_records, within_limits

MOST_ROWS = 32
MOST_STEPS = 8
"""Validations; of more, the first, the last, and some between them."""


def probe_table(folder: Path) -> ItemTable | None:
    """The table of a run's probe set.

    Args:
        folder: The run folder; it is only read.

    Returns:
        Columns `image`, `item`, `reference`, and one for each validation; None where there is no probe set.
    """
    probe = folder / "media" / "probe"
    names = (re.fullmatch(r"step-(\d+)\.jsonl", path.name) for path in probe.glob("step-*.jsonl"))
    steps = sorted(int(match[1]) for match in names if match)
    if not steps:
        return None
    places = np.unique(np.linspace(0, len(steps) - 1, min(MOST_STEPS, len(steps))).astype(np.int64))
    shown = [steps[place] for place in places.tolist()]
    said = [{_key(record): record for record in read_records(probe / f"step-{step}.jsonl")} for step in shown]
    items = list(said[-1].items())[:MOST_ROWS]
    images = item_images(folder, _split(probe / "index.json"))
    rows = [
        [
            Picture(path) if (path := images.get(str(image_key(record)))) else None,
            str(record.get("question") or record.get("query") or record.get("id")),
            _reference(record),
            *(_said(column.get(key)) for column in said),
        ]
        for key, record in items
    ]
    return within_limits(ItemTable(["image", "item", "reference", *(f"step {step}" for step in shown)], rows))


def _split(path: Path) -> str:
    """Of which split the items are."""
    try:
        return str(json.loads(path.read_bytes())["split"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "val"


def _key(record: Record) -> str:
    found = record.get("question_id", record.get("id"))
    return "#".join(
        str(part) for part in (found, record.get("repeat"), record.get("direction")) if part is not None
    )


def _reference(record: Record) -> str:
    if "answers" in record or "references" in record:
        several: Sequence[Any] = record.get("answers") or record.get("references") or []
        return ", ".join(dict.fromkeys(map(str, several)))
    if "rank" in record:
        return f"rank 1 of {record.get('among')}"
    return str(record.get("label"))


def _said(record: Record | None) -> str | None:
    """The answer and what it was worth, or the rank of the right one."""
    if record is None:
        return None
    if "rank" in record:
        return f"rank {record['rank']}"
    answer = record.get("prediction", record.get("generation"))
    if "correct" in record:
        return f"{answer} ({'right' if record['correct'] else 'wrong'})"
    score = record.get("score")
    return f"{answer} ({score:.2f})" if isinstance(score, int | float) else str(answer)
