"""Rows of a JSONL, JSON, CSV or TSV file as dicts, each with its place in the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from mmdl.data.readers.bad_samples import Problem, type_name
from mmdl.data.readers.text_files import parse_json, read_text
from mmdl.errors import UserError, nearest

Row: TypeAlias = dict[str, Any]

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
"""Suffixes of the formats that `read_rows` knows."""


def read_rows(path: Path, required: tuple[str, ...]) -> list[tuple[str, Row | Problem]]:
    """All rows of a table, each with its place: `line 3`, or `item 3` of a JSON list.

    Args:
        path: `.jsonl`, `.ndjson`, `.json` (one list, or an object a line), `.csv` (comma or semicolon) or
            `.tsv`, in UTF-8. Empty lines are passed over; so are empty cells of CSV and TSV.
        required: Columns that a CSV or TSV file must have.

    Returns:
        (place, row), or (place, problem) where a row can't be read.

    Raises:
        UserError: The file is missing, empty, not UTF-8, of an unknown kind, or without a required column.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"unknown kind of table: {path}", valid=nearest(suffix, SUFFIXES))
    text = read_text(path)
    if suffix in (".csv", ".tsv"):
        rows = list(_csv_rows(path, text, required))
    elif suffix == ".json":
        rows = _json(path, text)
    else:
        rows = list(_json_lines(text))
    if not rows:
        raise UserError(f"{path} has no rows")
    return rows


def _json_lines(text: str) -> Iterator[tuple[str, Row | Problem]]:
    # not `splitlines`: it would also cut at U+2028, which JSON allows inside a string
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row: Any = parse_json(line)
        except ValueError as error:
            # the line number inside a one-line document is always 1
            yield f"line {number}", Problem("malformed JSON", str(error).removeprefix("line 1, "))
            continue
        yield f"line {number}", _object(row)


def _json(path: Path, text: str) -> list[tuple[str, Row | Problem]]:
    try:
        document = parse_json(text)
    except ValueError as error:
        if not text.lstrip().startswith("["):
            return list(_json_lines(text))
        raise UserError(f"malformed JSON in {path}, {error}") from None
    items = document if isinstance(document, list) else [document]
    return [(f"item {number}", _object(item)) for number, item in enumerate(items, start=1)]


def _object(row: Any) -> Row | Problem:
    if isinstance(row, dict):
        return row
    return Problem("wrong type", f"{type_name(row)}, expected an object")


def _csv_rows(path: Path, text: str, required: tuple[str, ...]) -> Iterator[tuple[str, Row | Problem]]:
    tab = path.suffix.lower() == ".tsv"
    first = text.split("\n", 1)[0]
    # spreadsheets write semicolons where the decimal point is a comma
    delimiter = "\t" if tab else (";" if first.count(";") > first.count(",") else ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1
    header: list[str] = []
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # after an open quote nothing that follows can be told apart
            raise UserError(
                f"{path}: the row that begins in line {start} is malformed: {error}",
                valid='a text with quotes or delimiters inside is written "so, and ""so"""',
            ) from None
        place, start = f"line {start}", reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = _header(path, cells, required)
        elif len(cells) != len(header):
            detail = f"{len(cells)} cells, the header has {len(header)}"
            yield place, Problem("wrong number of columns", detail)
        else:
            yield place, {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip()}


def _header(path: Path, cells: list[str], required: tuple[str, ...]) -> list[str]:
    header = [cell.strip() for cell in cells]
    for name in required:
        if name not in header:
            raise UserError(
                f"{path} has no column {name!r} in its first line",
                valid=f"columns found: {nearest(name, header)}",
                fix=f"name the columns in the first line: {', '.join(required)}, ...",
            )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UserError(f"{path} has the column {twice[0]!r} twice")
    return header
