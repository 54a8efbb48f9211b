"""Files of predictions: one record an item, and beside it what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmdl.runs.files import write_json, write_text
from mmdl.runs.item_records import fingerprint, item_id, reference_of, told_apart

VERSION = 1


class Predictions(NamedTuple):
    """Scored predictions on the items of a split, as a data module gives them.

    Attributes:
        kind: One of `KINDS`.
        metric: What the scores average to, without the split.
        records: One an item, in the order of the split.
        suffix: What the name of their file ends in, where a split has several.
    """

    kind: str
    metric: str
    records: list[dict[str, Any]]
    suffix: str = ""


def write_items(
    path: Path, records: Sequence[Mapping[str, Any]], *, kind: str, split: str, metric: str, **facts: Any
) -> None:
    """Write records, one JSON object a line, and beside them a `.json` that says what they are; both atomically.

    Ids that the split has more than once are told apart by `repeat`, in the order of the split.

    Args:
        path: The `.jsonl` file.
        records: One an item, in the order of the split.
        kind: One of `KINDS`.
        split: Such as `test`.
        metric: What the scores average to, without the split.
        **facts: What else the `.json` says.
    """
    told = told_apart(records)
    write_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in told))
    ids = [str(item_id(record)) for record in told]
    beside = {
        "version": VERSION,
        "kind": kind,
        "split": split,
        "metric": metric,
        "count": len(told),
        "items_sha256": fingerprint(ids, [reference_of(kind, record) for record in told]),
    }
    write_json(path.with_suffix(".json"), beside | facts)
