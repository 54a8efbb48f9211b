"""Writes what was found: JSON lines, a contact sheet a query, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmdl.figures.contact_sheet import Tile, write_contact_sheet
from mmdl.runs.files import write_text
from mmdl.search.page.render import render
from mmdl.search.results import Found, json_lines, printable
from mmdl.search.thumbnails import Array, thumbnail

RESULTS, PAGE = "results.jsonl", "index.html"

MOST_SHOWN = 20
"""So many queries get pictures; the JSON lines have all."""


def write_results(folder: Path, results: Sequence[Found], facts: Sequence[tuple[str, str]]) -> list[Path]:
    """Write the folder of one search; what an earlier one wrote there is replaced.

    Args:
        folder: Made if need be; other files in it stay.
        results: One a query.
        facts: Name and value of what identifies the index.

    Returns:
        The contact sheets.

    Raises:
        UserError: if the folder can't be written.
    """
    write_text(folder / RESULTS, json_lines(results))
    shown = results[:MOST_SHOWN]
    files = {hit.path for found in shown for hit in found.hits}
    files |= {found.query.image for found in shown if found.query.image is not None}
    with ThreadPoolExecutor(4) as pool:
        thumbnails = dict(zip(files, pool.map(thumbnail, files), strict=True))
    subtitle = ", ".join(f"{name} {value}" for name, value in facts)
    single = len(shown) == 1
    sheets = []
    for number, found in enumerate(shown, start=1):
        path = folder / ("contact_sheet.png" if single else f"contact_sheet_{number:02d}.png")
        beside = thumbnails.get(found.query.image) if found.query.image is not None else None
        sheets.append(
            write_contact_sheet(
                path, printable(found.query.name), subtitle, _tiles(found, thumbnails), beside=beside
            )
        )
    for stale in set(folder.glob("contact_sheet*.png")) - set(sheets):
        stale.unlink(missing_ok=True)
    write_text(folder / PAGE, render(shown, thumbnails, facts, _notes(results, thumbnails)))
    return sheets


def _tiles(found: Found, thumbnails: dict[Path, Array | None]) -> list[Tile]:
    return [
        Tile(
            thumbnails[hit.path],
            f"{hit.rank}   {hit.similarity:.3f}",
            printable(hit.name),
            "can't be read" if hit.exists else "deleted since",
        )
        for hit in found.hits
    ]


def _notes(results: Sequence[Found], thumbnails: dict[Path, Array | None]) -> list[str]:
    notes = ["Beside the rank stands the cosine similarity of the embeddings, from -1 to 1."]
    gone = sum(image is None for image in thumbnails.values())
    if gone:
        notes.append(f"{gone:,} images have been deleted or damaged since they were indexed.")
    if len(results) > MOST_SHOWN:
        notes.append(f"The first {MOST_SHOWN} of {len(results):,} queries are shown; {RESULTS} has all.")
    return notes
