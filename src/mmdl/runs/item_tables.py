"""A few of a run's predictions as a table for trackers, read from the run folder: it shows what the page shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmdl.review.images import item_images
from mmdl.runs.item_records import image_key, kind_of

MOST_ROWS = 100
MOST_BYTES = 16_000_000
"""Of the images of a table; those beyond it are left out, their rows are not."""
MOST_CHARACTERS = 1000
"""Of a text; a generation may be long."""
SHOWN = 5
"""Answers, classes or retrieved items of a row."""

Record = Mapping[str, Any]


class Picture(NamedTuple):
    """An image in a cell.

    Attributes:
        path: Its file.
        caption: Under it.
    """

    path: Path
    caption: str = ""


class ItemTable(NamedTuple):
    """Predictions for a person.

    Attributes:
        columns: Names.
        rows: Cells: text, numbers, truth values, `Picture`, or None.
    """

    columns: list[str]
    rows: list[list[Any]]


def item_tables(folder: Path, name: str) -> dict[str, ItemTable]:
    """The tables of a run's predictions on a split.

    Args:
        folder: The run folder; it is only read.
        name: Of the predictions: `test`.

    Returns:
        `predictions`; of retrieval `predictions/text_to_image` and `predictions/image_to_text`. Those that are missing
        or can't be read are left out.
    """
    images = item_images(folder, name)
    found = {}
    for key, stem in (
        ("predictions", name),
        ("predictions/text_to_image", f"{name}_text_to_image"),
        ("predictions/image_to_text", f"{name}_image_to_text"),
    ):
        records = read_records(folder / "predictions" / f"{stem}.jsonl")
        kind = kind_of(records[0]) if records else None
        if records:
            found[key] = _table(TABLES.get(str(kind), _generic), records, images)
    return found


def read_records(path: Path) -> list[Record]:
    """The records of a file that can be read; without a file, none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    records: list[Record] = []
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


Table = Callable[[Sequence[Record], Mapping[str, Path]], ItemTable]


def _table(make: Table, records: Sequence[Record], images: Mapping[str, Path]) -> ItemTable:
    """A table of records whose image the run has kept, where it has kept any: the worst mistakes are among them."""
    pictured = [record for record in records if image_key(record) in images]
    return within_limits(make(pictured or records, images))


def within_limits(table: ItemTable) -> ItemTable:
    """A table without the images and characters that are too many, and without columns that are empty."""
    left = MOST_BYTES
    rows = []
    for row in table.rows:
        cells: list[Any] = []
        for cell in row:
            if isinstance(cell, Picture):
                left -= cell.path.stat().st_size
                cells.append(cell if left >= 0 else None)
            elif isinstance(cell, str):
                cells.append(cell if len(cell) <= MOST_CHARACTERS else cell[: MOST_CHARACTERS - 1] + "…")
            else:
                cells.append(cell)
        rows.append(cells)
    kept = [i for i in range(len(table.columns)) if any(row[i] is not None for row in rows)]
    return ItemTable([table.columns[i] for i in kept], [[row[i] for i in kept] for row in rows])


def _spread(records: Sequence[Record], most: int) -> list[Record]:
    """So many of them, evenly over all."""
    places = np.unique(np.linspace(0, len(records) - 1, min(most, len(records))).astype(np.int64))
    return [records[place] for place in places.tolist()]


def _confidence(record: Record) -> float:
    top = record.get("top")
    first = top[0] if isinstance(top, list) and top and isinstance(top[0], Mapping) else {}
    value = first.get("probability", first.get("similarity"))
    return float(value) if isinstance(value, int | float) else 0.0


def _worst_first(records: Sequence[Record], is_wrong: Callable[[Record], bool], most: int) -> list[Record]:
    """The most confident mistakes, half of the rows at most where there is enough else, then others, spread evenly."""
    wrong = sorted((record for record in records if is_wrong(record)), key=lambda r: -_confidence(r))
    others = [record for record in records if not is_wrong(record)]
    room = max(most // 2, most - len(others))
    shown = wrong[:room]
    return shown + _spread(others, most - len(shown)) if others else shown


def _top(record: Record, key: str) -> str:
    """The best answers or classes with their probabilities, as text."""
    top = record.get("top")
    items = [item for item in top if isinstance(item, Mapping)] if isinstance(top, list) else []
    return ", ".join(f"{item.get(key)} {float(item.get('probability') or 0):.2f}" for item in items[:SHOWN])


def _picture(images: Mapping[str, Path], key: Any, caption: str = "") -> Picture | None:
    path = images.get(str(key))
    return Picture(path, caption) if path is not None else None


def _classification(records: Sequence[Record], images: Mapping[str, Path]) -> ItemTable:
    chosen = _worst_first(records, lambda record: record.get("correct") is False, MOST_ROWS)
    columns = ["image", "label", "prediction", "confidence", "top", "correct", "id"]
    rows = [
        [
            _picture(images, image_key(record)),
            record.get("label"),
            record.get("prediction"),
            _confidence(record),
            _top(record, "class"),
            record.get("correct"),
            str(record.get("id")),
        ]
        for record in chosen
    ]
    return ItemTable(columns, rows)


def _vqa(records: Sequence[Record], images: Mapping[str, Path]) -> ItemTable:
    """As many rows of each answer type, the most confident mistakes of each first."""
    types = sorted({str(record.get("answer_type") or "") for record in records})
    chosen: list[Record] = []
    for number, answer_type in enumerate(types):
        own = [record for record in records if str(record.get("answer_type") or "") == answer_type]
        share = (MOST_ROWS - len(chosen)) // (len(types) - number)
        chosen += _worst_first(own, lambda record: (record.get("score") or 0) < 0.5, share)
    columns = [
        *("answer_type", "image", "question", "prediction", "top", "answers", "score"),
        *("question_type", "question_id"),
    ]
    rows = [
        [
            record.get("answer_type"),
            _picture(images, record.get("image")),
            record.get("question"),
            record.get("prediction"),
            _top(record, "answer"),
            ", ".join(dict.fromkeys(map(str, record.get("answers") or []))),
            record.get("score"),
            record.get("question_type"),
            str(record.get("question_id")),
        ]
        for record in chosen
    ]
    return ItemTable(columns, rows)


def _retrieval(records: Sequence[Record], images: Mapping[str, Path]) -> ItemTable:
    """The worst ranks first, then others: the query, and what was found for it, best first."""
    missed = sorted((r for r in records if not r.get("hit")), key=lambda r: -int(r.get("rank") or 0))
    others = [record for record in records if record.get("hit")]
    shown = missed[: max(MOST_ROWS // 2, MOST_ROWS - len(others))]
    shown += _spread(others, MOST_ROWS - len(shown)) if others else []
    of_images = any("image" in item for record in records[:1] for item in _found(record))
    columns = ["query", "right image" if of_images else "image", "rank", "hit", "among"]
    rows = []
    for record in shown:
        found = _found(record)[:SHOWN]
        cells: list[Any] = [
            record.get("query") if of_images else None,
            _picture(images, record.get("image")),
            record.get("rank"),
            record.get("hit"),
            record.get("among"),
        ]
        for item in found:
            mark = f"{float(item.get('similarity') or 0):.3f}{' right' if item.get('right') else ''}"
            if of_images:
                cells.append(_picture(images, item.get("image"), mark))
            else:
                cells.append(f"{item.get('caption')} ({mark})")
        rows.append(cells + [None] * (SHOWN - len(found)))
    return ItemTable([*columns, *(f"top {place}" for place in range(1, SHOWN + 1))], rows)


def _found(record: Record) -> list[Record]:
    top = record.get("top")
    return [item for item in top if isinstance(item, Mapping)] if isinstance(top, list) else []


def _generation(records: Sequence[Record], images: Mapping[str, Path]) -> ItemTable:
    """Prompts as they were read, and what was generated after them; the worst first."""
    chosen = _worst_first(records, lambda record: (record.get("score") or 0) < 0.5, MOST_ROWS)
    columns = ["image", "prompt", "generation", "references", "score", "id"]
    rows = [
        [
            _picture(images, record.get("image")),
            _prompt(record.get("prompt", record.get("question"))),
            _plain(record.get("generation", record.get("prediction"))),
            ", ".join(dict.fromkeys(map(str, record.get("references") or []))),
            record.get("score"),
            str(record.get("id")),
        ]
        for record in chosen
    ]
    return ItemTable(columns, rows)


def _prompt(value: Any) -> Any:
    """An interleaved prompt as text, a line a part, the names of its images in brackets.

    >>> print(_prompt([{"image": "a.png", "text": "a cat"}, "and?"]))
    [a.png] a cat
    and?
    """
    if not isinstance(value, list):
        return _plain(value)
    lines = []
    for part in value:
        if isinstance(part, Mapping):
            image = f"[{part['image']}]" if part.get("image") is not None else ""
            lines.append(" ".join(word for word in (image, str(part.get("text") or "")) if word))
        else:
            lines.append(str(part))
    return "\n".join(lines)


def _generic(records: Sequence[Record], images: Mapping[str, Path]) -> ItemTable:
    """Records of any other form: a column a key, the image first."""
    columns = list(dict.fromkeys(key for record in records[:MOST_ROWS] for key in record))
    rows = [
        [
            _picture(images, image_key(record)),
            *(_plain(record.get(key)) for key in columns),
        ]
        for record in _spread(records, MOST_ROWS)
    ]
    return ItemTable(["picture", *columns], _one_type(rows))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _one_type(rows: Iterable[list[Any]]) -> list[list[Any]]:
    """A column that holds several types as text: trackers refuse such a column."""
    rows = [list(row) for row in rows]
    for column in range(len(rows[0]) if rows else 0):
        kinds = {type(row[column]) for row in rows if row[column] is not None}
        if len(kinds) > 1 and kinds != {int, float}:
            for row in rows:
                row[column] = None if row[column] is None else str(row[column])
    return rows


TABLES: dict[str, Table] = {
    "classification": _classification,
    "vqa": _vqa,
    "retrieval": _retrieval,
    "generation": _generation,
}
"""How the records of a kind are shown; others as `_generic` does."""
