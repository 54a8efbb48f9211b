"""A page as one HTML file that needs nothing else: no server, no network."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from pathlib import Path

from mmdl.inspection.page.parts import Block, Chain, Figure, Page, Row, Section, Table

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser itself refuses whatever would leave the page."""


def render(page: Page) -> str:
    """The page as HTML.

    Args:
        page: Its parts; all text is escaped.
    """
    folder = Path(__file__).parent
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    anchors = _anchors(page.sections)
    contents = "".join(
        f'<li><a href="#{anchor}">{_text(section.title)}</a></li>'
        for section, anchor in zip(page.sections, anchors, strict=True)
        if section.level == 2
    )
    facts = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in page.facts)
    body = "".join(
        f'<section id="{anchor}" aria-labelledby="{anchor}-title" class="level{section.level}">'
        f'<h{section.level} id="{anchor}-title">{_text(section.title)}</h{section.level}>'
        f"{''.join(map(_block, section.blocks))}</section>"
        for section, anchor in zip(page.sections, anchors, strict=True)
    )
    notes = "".join(f"<li>{_text(note)}</li>" for note in page.notes)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{_text(page.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the content</a>\n'
        f'<header><h1>{_text(page.title)}</h1><p class="lead">{_text(page.lead)}</p><dl>{facts}</dl></header>\n'
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav>\n'
        f'<main id="main" tabindex="-1">\n<div class="row hero">{"".join(map(_figure, page.hero))}</div>\n'
        f"{body}\n</main>\n<footer><h2>Notes</h2><ul>{notes}</ul></footer>\n"
        '<dialog aria-label="Enlarged picture"><form method="dialog"><button autofocus>Close</button></form>'
        "<div></div></dialog>\n"
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _anchors(sections: Sequence[Section]) -> list[str]:
    """A name for each section that is unique in the page."""
    found: list[str] = []
    for section in sections:
        base = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") or "section"
        found.append(base if base not in found else f"{base}-{len(found)}")
    return found


def _text(text: str) -> str:
    return html.escape(text)


def _block(block: Block) -> str:
    if isinstance(block, str):
        return f"<p>{_text(block)}</p>"
    if isinstance(block, Figure):
        return _figure(block)
    if isinstance(block, Row):
        return f'<div class="row">{"".join(map(_figure, block.figures))}</div>'
    if isinstance(block, Chain):
        return f'<ol class="chain">{"".join(f"<li>{_text(stage)}</li>" for stage in block.stages)}</ol>'
    return _table(block)


def _figure(figure: Figure) -> str:
    picture = figure.picture
    dark = (
        f'<source media="(prefers-color-scheme: dark)" srcset="{_data(picture.dark)}">'
        if picture.dark
        else ""
    )
    return (
        f'<figure style="max-width:{max(picture.width, 300)}px">'
        f'<button type="button" class="zoom" aria-label="Enlarge: {_text(figure.alt)}">'
        f'<picture>{dark}<img src="{_data(picture.light)}" width="{picture.width}" height="{picture.height}" '
        f'alt="{_text(figure.alt)}"></picture></button>'
        f"<figcaption>{_text(figure.caption)}</figcaption></figure>"
    )


def _data(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _table(table: Table) -> str:
    def attributes(column: int) -> str:
        return ' class="number"' if column in table.numeric else ""

    head = "".join(
        f'<th scope="col"{attributes(n)}>{_text(name)}</th>' for n, name in enumerate(table.columns)
    )
    body = "".join(
        f"<tr>{''.join(_cell(cell, n, attributes(n)) for n, cell in enumerate(row))}</tr>"
        for row in table.rows
    )
    return (
        f'<p class="caption">{_text(table.caption)}</p>'
        f'<div class="table" tabindex="0" role="region" aria-label="{_text(table.caption)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(cell: str, column: int, attributes: str) -> str:
    if column == 0 and cell in ("ok", "FAIL"):
        return f'<td><span class="badge {cell.lower()}">{cell}</span></td>'
    return f"<td{attributes}>{_text(cell)}</td>"
