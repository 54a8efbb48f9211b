"""The results as one HTML file that needs nothing else: no server, no network; in the look of the inspection's page."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmdl.inspection.page import render as inspection_page
from mmdl.inspection.page.render import POLICY
from mmdl.search.results import Found, Hit, printable
from mmdl.search.thumbnails import Array, jpeg


def render(
    results: Sequence[Found],
    thumbnails: Mapping[Path, Array | None],
    facts: Sequence[tuple[str, str]],
    notes: Sequence[str],
) -> str:
    """The page as HTML.

    Args:
        results: One section a query.
        thumbnails: File -> `(H, W, 3)` uint8, or None where it is gone.
        facts: Name and value of what identifies the index.
        notes: At the end.
    """
    looks = Path(inspection_page.__file__).parent
    style = (looks / "style.css").read_text(encoding="utf-8")
    style += (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    script = (looks / "script.js").read_text(encoding="utf-8")
    single = results[0] if len(results) == 1 else None
    title = f"{len(results):,} queries" if single is None else _name(single)
    listed = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts)
    contents = "".join(
        f'<li><a href="#query-{number}">{_text(_name(found))}</a></li>'
        for number, found in enumerate(results, start=1)
    )
    nav = f'<nav aria-label="Queries"><ol>{contents}</ol></nav>\n' if single is None else ""
    body = "".join(
        _section(found, number, thumbnails, single is None) for number, found in enumerate(results, start=1)
    )
    remarks = "".join(f"<li>{_text(note)}</li>" for note in notes)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{_text(title)} - mmdl search</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the content</a>\n'
        f'<header><h1>Search</h1><div class="asked">{_asked(single, thumbnails)}'
        f'<p class="lead">{_text(title)}</p></div><dl>{listed}</dl></header>\n'
        f'{nav}<main id="main" tabindex="-1">\n{body}\n</main>\n'
        f"<footer><h2>Notes</h2><ul>{remarks}</ul></footer>\n"
        '<dialog aria-label="Enlarged picture"><form method="dialog"><button autofocus>Close</button></form>'
        f"<div></div></dialog>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    return html.escape(printable(text))


def _name(found: Found) -> str:
    return found.query.name if found.query.image is not None else f"“{found.query.name}”"


def _asked(found: Found | None, thumbnails: Mapping[Path, Array | None]) -> str:
    """The image that was looked for."""
    image = None if found is None or found.query.image is None else thumbnails.get(found.query.image)
    return "" if image is None else f'<img src="{_data(image)}" alt="The image that was looked for">'


def _section(found: Found, number: int, thumbnails: Mapping[Path, Array | None], headed: bool) -> str:
    heading = f"<h2>{_text(_name(found))}</h2>" if headed else ""
    remarks = "".join(f'<p class="remark">{_text(remark)}</p>' for remark in found.remarks)
    hits = "".join(_hit(hit, thumbnails.get(hit.path)) for hit in found.hits)
    return (
        f'<section id="query-{number}" class="level2" aria-label="Images">{heading}{remarks}'
        f'<ol class="hits">{hits}</ol></section>'
    )


def _hit(hit: Hit, image: Array | None) -> str:
    name = _text(hit.name)
    if image is None:
        shown = f'<div class="gone">{"can’t be read" if hit.exists else "deleted since"}</div>'
    else:
        height, width = image.shape[:2]
        shown = (
            f'<button type="button" class="zoom" aria-label="Enlarge {name}"><picture>'
            f'<img src="{_data(image)}" width="{width}" height="{height}" alt="{name}"></picture></button>'
        )
    return (
        f"<li><figure>{shown}<figcaption><b>{hit.rank}</b>"
        f'<span class="similarity">{hit.similarity:.3f}</span><span class="name">{name}</span>'
        "</figcaption></figure></li>"
    )


def _data(image: Array) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(image)).decode()
