"""Text and JSON files, with the place of whatever is wrong in them."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmdl.errors import UserError


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        UserError: The file is missing, empty or not UTF-8; the offset of the first wrong byte is named.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"file not found: {path}") from None
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror}") from None
    if not data.strip():
        raise UserError(f"{path} is empty")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _not_utf8(path, "it begins with the mark of UTF-16", "UTF-16")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{data[error.start]:02x} at byte offset {error.start} (line {line})"
        raise _not_utf8(path, what, "WINDOWS-1252") from None


def _not_utf8(path: Path, what: str, encoding: str) -> UserError:
    return UserError(
        f"{path} is not UTF-8: {what}",
        valid="UTF-8, with or without a byte order mark",
        fix=f"save it as UTF-8, such as: iconv -f {encoding} -t UTF-8 {path.name} > utf8_{path.name}",
    )


def parse_json(text: str, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Parse JSON.

    Args:
        text: The document.
        object_hook: Replaces each object as soon as it is parsed.

    Raises:
        ValueError: The text is malformed; the message has line, column and what is there.
    """
    try:
        return json.loads(text, object_hook=object_hook)
    except json.JSONDecodeError as error:
        near = text[error.pos : error.pos + 20]
        found = f"at {near!r}" if near else "the text ends there"
        raise ValueError(f"line {error.lineno}, column {error.colno}: {error.msg}, {found}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(path: Path, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Read one JSON document from a file.

    Raises:
        UserError: The file is missing, empty, not UTF-8 or malformed; file, line and column are named.
    """
    text = read_text(path)
    try:
        return parse_json(text, object_hook)
    except ValueError as error:
        raise UserError(f"malformed JSON in {path}, {error}") from None
