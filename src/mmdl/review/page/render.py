"""The page of a review: one HTML file that needs nothing else, neither server nor network."""

from __future__ import annotations

import base64
import hashlib
import importlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from mmdl.errors import UserError
from mmdl.review.model import Review, RunView
from mmdl.review.page.section import Section, embedded, text
from mmdl.runs.files import write_text

ASSETS = Path(__file__).parents[1] / "assets"
FIRST = ("overview", "comparison", "curves", "metrics", "cost")
"""Sections at the beginning, by the stem of their file."""
LAST = ("configuration", "reproduce")
"""Sections at the end; all other files of `sections/` stand between, those that `MIDDLE` names first."""
MIDDLE = ("predictions", "retrieval", "confusion", "calibration", "pictures", "probe", "data")
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What a damaged or foreign file of a run makes of code that reads it."""

_COMMON = ("theme.js", "series.js", "page.js")
_UPLOT = "uplot/uPlot.iife.min.js"


def write_page(review: Review, path: Path) -> Path:
    """Write the page of a review; a reader sees the old file or the new one, never half of it.

    Args:
        review: What is shown.
        path: The HTML file; its folder is made if need be.

    Returns:
        The path.

    Raises:
        UserError: if it can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(review))
    return path


def render(review: Review) -> str:
    """The page as HTML.

    Args:
        review: What is shown; a section that damaged files break becomes a note, the others stay.
    """
    sections = [found for stem in section_names() if (found := _section(stem, review)) is not None]
    names = dict.fromkeys(name for section in sections for name in section.scripts)
    styles = ["theme.css", *(name for name in names if name.endswith(".css")), "page.css"]
    scripts = [*_COMMON, *(name for name in names if name.endswith(".js") and name not in _COMMON)]
    sources = [_script(name) for name in scripts]
    title = _title(review.runs)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(sources)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="generator" content="mmdl review">\n'
        f'<link rel="icon" href="data:,">\n<title>{text(title)}</title>\n'
        f"<style>\n{''.join(map(_asset, styles))}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the content</a>\n'
        f'<header class="top"><div><h1>{text(title)}</h1><p class="muted small">{_made(review)}</p></div>'
        '<button type="button" data-theme-toggle>Dark</button></header>\n'
        f'<nav class="contents" aria-label="Contents"><ol>{"".join(map(_entry, sections))}</ol></nav>\n'
        f'<main id="main" tabindex="-1">\n{"".join(map(_html, sections))}</main>\n'
        '<footer class="muted small">Made by mmdl review from the run folders alone. This file needs no server and '
        "no network.</footer>\n"
        f"{_data('runs', [run.id for run in review.runs])}"
        f"{''.join(_data(section.anchor, section.data) for section in sections)}"
        f"{''.join(f'<script>{source}</script>{chr(10)}' for source in sources)}</body>\n</html>\n"
    )


def section_names() -> list[str]:
    """Stems of the files of `sections/` in the order of the page."""
    found = {path.stem for path in (Path(__file__).parent / "sections").glob("[!_]*.py")}
    order = (*FIRST, *MIDDLE, *sorted(found - {*FIRST, *MIDDLE, *LAST}), *LAST)
    return [stem for stem in order if stem in found]


def _section(stem: str, review: Review) -> Section | None:
    module = importlib.import_module(f"mmdl.review.page.sections.{stem}")
    try:
        found: Section | None = module.section(review)
    except (UserError, *DAMAGED) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        note = f'<p class="gaps">This section can\'t be shown; a file of a run is damaged. {text(said)}</p>'
        return Section(stem.replace("_", "-"), stem.replace("_", " ").capitalize(), note)
    return found


def _title(runs: Sequence[RunView]) -> str:
    if len(runs) > 3:
        return f"Review of {len(runs)} runs"
    return "Review of " + ", ".join(run.id for run in runs) if runs else "Review of no run"


def _made(review: Review) -> str:
    said = f"As of {_moment(review.made)}" if review.made else ""
    running = sum(run.state == "running" for run in review.runs)
    if running:
        said += f" · {running} of {len(review.runs)} still running: run the review again for what comes after"
    return text(said)


def _moment(made: str) -> str:
    try:
        return datetime.fromisoformat(made).strftime("%Y-%m-%d %H:%M:%S %z").strip()
    except ValueError:
        return made


def _entry(section: Section) -> str:
    # the contents fit in one line: a long title is told by its anchor
    words = section.title if len(section.title) <= 14 else section.anchor.replace("-", " ").capitalize()
    return f'<li><a href="#{section.anchor}">{text(words)}</a></li>'


def _html(section: Section) -> str:
    anchor = section.anchor
    return (
        f'<section id="{anchor}" class="card" aria-labelledby="{anchor}-title">'
        f'<h2 id="{anchor}-title">{text(section.title)}</h2>\n{section.html}</section>\n'
    )


def _data(anchor: str, data: object) -> str:
    if data is None:
        return ""
    return f'<script type="application/json" id="data-{anchor}">{embedded(data)}</script>\n'


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _script(name: str) -> str:
    source = _asset(name)
    if name == _UPLOT:  # its licence goes where it goes
        source = f"/*!\n{_asset('uplot/LICENSE')}*/\n{source}"
    assert "</script" not in source.lower(), name
    return f"\n{source}"


def _policy(sources: Iterable[str]) -> str:
    """What the browser itself refuses: any request, and any script but our own."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
        for source in sources
    )
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}"
