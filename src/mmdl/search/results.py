"""What was found, for the console and as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmdl.search.queries import Query


class Hit(NamedTuple):
    """One image.

    Attributes:
        rank: From 1.
        name: Path relative to the folder of the images.
        similarity: Cosine similarity in [-1, 1].
        path: The file.
        exists: Whether it is still there.
    """

    rank: int
    name: str
    similarity: float
    path: Path
    exists: bool


class Found(NamedTuple):
    """The images of one query.

    Attributes:
        query: What was looked for.
        hits: Best first.
        remarks: What the run did not read of the query.
    """

    query: Query
    hits: list[Hit]
    remarks: list[str]


def printable(text: str) -> str:
    r"""A text on one line: what a terminal would obey is shown as its escape.

    >>> printable("a\x1b[31m\n.png")
    'a\\x1b[31m\\n.png'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def table(found: Found) -> list[str]:
    """The hits of one query, as a person reads them."""
    width = len(str(len(found.hits)))
    title = f'"{printable(found.query.name)}"' if found.query.image is None else printable(found.query.name)
    lines = [title, *(f"note: {remark}" for remark in found.remarks)]
    lines += [
        f"  {hit.rank:{width}}  {hit.similarity:7.4f}  {printable(hit.name)}{'' if hit.exists else '  (deleted)'}"
        for hit in found.hits
    ]
    return lines


def records(results: Sequence[Found]) -> list[dict[str, Any]]:
    """One plain dict a hit; `missing` is there only where the file is gone."""
    return [
        {
            "query": found.query.name,
            "query_type": found.query.kind,
            "rank": hit.rank,
            "path": hit.name,
            "similarity": round(hit.similarity, 6),
            "image": str(hit.path),
            **({} if hit.exists else {"missing": True}),
        }
        for found in results
        for hit in found.hits
    ]


def json_lines(results: Sequence[Found]) -> str:
    """The records, one JSON object a line; a path that is no Unicode stays escaped."""
    lines = []
    for record in records(results):
        line = json.dumps(record, ensure_ascii=False)
        lines.append(line if _is_unicode(line) else json.dumps(record))
    return "".join(line + "\n" for line in lines)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
