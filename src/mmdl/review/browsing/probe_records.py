"""The fixed probe set of a run: its records at each validation, and the changes between them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from mmdl.review.browsing.record_facts import ItemFacts, best_answers, item_facts, rank_of
from mmdl.runs.item_records import KINDS, item_id, kind_of, score_of

DIRECTIONS = {"text_to_image": "image of", "image_to_text": "caption of"}
"""What is looked for, by the direction of a retrieval."""
MOST_BYTES = 8_000_000
"""Of one validation's records: the probe set is small, whatever is larger is none."""


class ProbeAnswer(NamedTuple):
    """What a run answered to a probe item at one validation.

    Attributes:
        text: Its first answer.
        value: Probability or similarity; NaN: none.
        score: In [0, 1]; None without a reference.
        rank: Of the right one in a retrieval; 0: none.
    """

    text: str
    value: float
    score: float | None
    rank: int


class Probe(NamedTuple):
    """The probe set of a run.

    Attributes:
        kind: As of predictions.
        split: Of its items, for their images.
        steps: Of the validations, rising.
        items: Id -> facts, in the order of the index.
        answers: (id, step) -> answer.
        gaps: One sentence for each thing that is damaged.
    """

    kind: str
    split: str
    steps: list[int]
    items: dict[str, ItemFacts]
    answers: dict[tuple[str, int], ProbeAnswer]
    gaps: list[str]


def read_probe(run: Path) -> Probe | None:
    """The probe set of a run folder; None where it has none.

    Args:
        run: The run folder; it is only read.
    """
    folder = run / "media" / "probe"
    steps = {
        int(match[1]): path
        for path in sorted(folder.glob("step-*.jsonl"))
        if (match := re.fullmatch(r"step-(\d{1,15})\.jsonl", path.name))
    }
    found = Probe("", "val", [], {}, {}, [])
    index: Any = None
    try:
        index = json.loads((folder / "index.json").read_bytes())
    except FileNotFoundError:
        if not steps:
            return None
        found.gaps.append("media/probe/index.json is missing")
    except (OSError, ValueError, RecursionError):
        found.gaps.append("media/probe/index.json is damaged")
    if isinstance(index, dict):
        split, kind = index.get("split"), index.get("kind")
        found = found._replace(
            split=split if isinstance(split, str) else found.split, kind=kind if kind in KINDS else ""
        )
    for step, path in sorted(steps.items()):
        records = _records(path, found.gaps)
        found.steps.append(step)
        for record in records:
            kind = found.kind or kind_of(record) or ""
            name = item_id(record)
            if name is None or not kind:
                continue
            if record.get("direction") in DIRECTIONS:
                name = f"{DIRECTIONS[record['direction']]}: {name}"  # both have the id of the image
            found = found._replace(kind=kind)
            found.items.setdefault(name, item_facts(kind, record))
            found.answers[name, step] = _answer(kind, record)
    return found if found.items or found.gaps else None


def _answer(kind: str, record: dict[str, Any]) -> ProbeAnswer:
    best = best_answers(kind, record)
    try:
        score = score_of(kind, record)
    except (KeyError, TypeError, ValueError):
        score = None
    text, value = (best[0].text, best[0].value) if best else ("", float("nan"))
    return ProbeAnswer(text, value, score, rank_of(record))


def _records(path: Path, gaps: list[str]) -> list[dict[str, Any]]:
    """The records of one validation; a line that is damaged or cut off is left out."""
    try:
        if path.stat().st_size > MOST_BYTES:
            gaps.append(f"media/probe/{path.name} is larger than a probe set is")
            return []
        lines = path.read_bytes().splitlines()
    except OSError as error:
        gaps.append(f"media/probe/{path.name} can't be read: {error.strerror}")
        return []
    records, damaged = [], 0
    for line in filter(bytes.strip, lines):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append(record)
        else:
            damaged += 1
    if damaged:
        gaps.append(f"media/probe/{path.name}: {damaged:,} damaged lines were left out")
    return records
