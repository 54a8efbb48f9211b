"""Reads the scored items of a run folder: its predictions on a split, and those of its baselines."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmdl.review.collector import collector_off
from mmdl.review.model import Items
from mmdl.runs.item_records import KINDS, fingerprint, item_id, kind_of, reference_of, score_of, split_of


def list_items(run_path: Path) -> list[str]:
    """Names of the predictions in a run folder: `test`, `test_baseline_question_only`, `test_text_to_image`.

    Args:
        run_path: The run folder; it is only read.

    Returns:
        Sorted; without predictions, none.
    """
    try:
        return sorted(path.stem for path in (run_path / "predictions").glob("*.jsonl") if path.is_file())
    except OSError:
        return []


@collector_off()
def read_items(run_path: Path, name: str, keep_records: bool = True) -> Items | str:
    """The scored items of one file of predictions.

    Args:
        run_path: The run folder; it is only read.
        name: Of the file, without `.jsonl`: one of `list_items`.
        keep_records: False leaves `records` empty: a large split takes a tenth of the memory.

    Returns:
        The items in the order of the file; or one sentence that says why there are none. What is damaged is left out,
        and said in `gaps`.
    """
    if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        return f"{name!r} is no name of predictions"
    path = run_path / "predictions" / f"{name}.jsonl"
    label = f"predictions/{path.name}"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return f"{label} is missing"
    except OSError as error:
        return f"{label} can't be read: {error.strerror}"
    records, damaged, cut = _records(content)
    if not records:
        return f"{label} is empty" if not damaged else f"{label} is damaged: none of its lines can be read"
    facts, gaps = _facts(path.with_suffix(".json"))
    kind = facts["kind"] if facts.get("kind") in KINDS else kind_of(records[0])
    if kind is None:
        return f"{label} holds no predictions of a known kind"
    taken = _take(kind, records)
    damaged += len(records) - len(taken)
    if not taken:
        return f"{label} is damaged: none of its records has an id and a score"
    ids, scores, references, kept = (list(column) for column in zip(*taken, strict=True))
    repeated = [found for found, count in Counter(ids).items() if count > 1]
    if repeated:
        return f"{label} has {len(repeated):,} ids more than once, the first is {repeated[0]!r}"
    values = np.asarray(scores, dtype=np.float64)
    if np.isnan(values).all():
        return f"{label} has no references, so nothing is scored"
    if damaged:
        gaps.append(f"{label}: {damaged:,} damaged lines were left out")
    if cut:
        gaps.append(f"{label}: the last line is cut off and was left out")
    gaps += [f"{label}: {line}" for line in _disagreements(facts, ids, references)]
    clustered = kind != "classification" and all(record.get("image") is not None for record in kept)
    return Items(
        kind=kind,
        split=str(facts.get("split") or split_of(name)),
        metric=str(facts.get("metric") or _metric(kind, name)),
        ids=ids,
        scores=values,
        clusters=[str(record["image"]) for record in kept] if clustered else None,
        references=references,
        records=kept if keep_records else [],
        gaps=gaps,
    )


def _records(content: bytes) -> tuple[list[dict[str, Any]], int, bool]:
    """Records, how many whole lines are damaged, and whether the last one is cut off."""
    records: list[dict[str, Any]] = []
    damaged, cut = 0, False
    lines = content.split(b"\n")
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append(record)
        elif number == len(lines) - 1:
            cut = True
        else:
            damaged += 1
    return records, damaged, cut


def _facts(path: Path) -> tuple[dict[str, Any], list[str]]:
    """What stands beside the records; folders of older versions have none of it."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        return {}, [f"predictions/{path.name} is damaged"]
    return dict(found), []


def _take(kind: str, records: list[dict[str, Any]]) -> list[tuple[str, float, str, dict[str, Any]]]:
    """Id, score and reference of each record that has them."""
    taken = []
    for record in records:
        found = item_id(record)
        try:
            score = score_of(kind, record)
        except (TypeError, ValueError, KeyError):
            continue
        if found is not None:
            taken.append((found, math.nan if score is None else score, reference_of(kind, record), record))
    return taken


def _disagreements(facts: Mapping[str, Any], ids: list[str], references: list[str]) -> list[str]:
    """Where the records are not those that the file beside them tells of."""
    count = facts.get("count")
    if isinstance(count, int) and count != len(ids):
        return [f"it holds {len(ids):,} of {count:,} records"]
    expected = facts.get("items_sha256")
    if isinstance(expected, str) and expected != fingerprint(ids, references):
        return ["ids or references are not those that were written"]
    return []


def _metric(kind: str, name: str) -> str:
    if kind == "retrieval":
        return ("image_to_text" if name.endswith("_image_to_text") else "text_to_image") + "/recall@1"
    return {"vqa": "vqa_accuracy", "classification": "accuracy"}.get(kind, "score")
