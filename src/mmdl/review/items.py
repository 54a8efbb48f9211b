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
    facts, gaps = _facts(path.with_suffix(".json"))
    try:
        with path.open("rb") as lines:
            scan = _Scan(facts.get("kind"), keep_records)
            for line in lines:
                scan.take(line)
    except FileNotFoundError:
        return f"{label} is missing"
    except OSError as error:
        return f"{label} can't be read: {error.strerror}"
    if scan.kind is None or not scan.ids:
        return f"{label} {scan.why_none()}"
    repeated = [found for found, count in Counter(scan.ids).items() if count > 1]
    if repeated:
        return f"{label} has {len(repeated):,} ids more than once, the first is {repeated[0]!r}"
    values = np.asarray(scan.scores, dtype=np.float64)
    if np.isnan(values).all():
        return f"{label} has no references, so nothing is scored"
    if scan.damaged:
        gaps.append(f"{label}: {scan.damaged:,} damaged lines were left out")
    if scan.cut:
        gaps.append(f"{label}: the last line is cut off and was left out")
    gaps += [f"{label}: {line}" for line in _disagreements(facts, scan.ids, scan.references)]
    clustered = scan.kind != "classification" and None not in scan.clusters
    return Items(
        kind=scan.kind,
        split=str(facts.get("split") or split_of(name)),
        metric=str(facts.get("metric") or _metric(scan.kind, name)),
        ids=scan.ids,
        scores=values,
        clusters=[str(own) for own in scan.clusters] if clustered else None,
        references=scan.references,
        records=scan.records,
        gaps=gaps,
    )


class _Scan:
    """Takes the lines of a file one by one: of a large split the records alone fill a gigabyte."""

    def __init__(self, kind: Any, keep: bool) -> None:
        self.kind: str | None = kind if kind in KINDS else None
        self.keep = keep
        self.lines = self.damaged = 0
        self.cut = False
        self.ids: list[str] = []
        self.scores: list[float] = []
        self.clusters: list[str | None] = []
        self.references: list[str] = []
        self.records: list[dict[str, Any]] = []
        self._texts: dict[str, str] = {}

    def take(self, line: bytes) -> None:
        """One line, with its end if it has one."""
        if not line.strip():
            return
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            self.cut = not line.endswith(b"\n")
            self.damaged += not self.cut
            return
        self.lines += 1
        self.kind = self.kind or kind_of(record)
        try:
            score = score_of(self.kind, record) if self.kind else None
        except (TypeError, ValueError, KeyError):
            self.damaged += 1
            return
        found = item_id(record)
        if found is None or self.kind is None:
            self.damaged += 1
            return
        reference = reference_of(self.kind, record)
        image = record.get("image")
        self.ids.append(found)
        self.scores.append(math.nan if score is None else score)
        self.references.append(self._shared(reference))
        self.clusters.append(None if image is None else self._shared(str(image)))
        if self.keep:
            self.records.append(record)

    def why_none(self) -> str:
        """Why there are no items, as the end of a sentence."""
        if self.lines == 0:
            return "is damaged: none of its lines can be read" if self.damaged or self.cut else "is empty"
        if self.kind is None:
            return "holds no predictions of a known kind"
        return "is damaged: none of its records has an id and a score"

    def _shared(self, text: str) -> str:
        """Equal texts take their room once."""
        return self._texts.setdefault(text, text)


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
