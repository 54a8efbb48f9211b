"""Small parts of the page that several sections use."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from mmdl.review.model import RunView
from mmdl.review.page.section import text


def swatch(run: str) -> str:
    """A line in the colour that a run has in the curves."""
    return f'<span data-swatch="{text(run)}"></span>'


def badge(run: RunView) -> str:
    """The state of a run; of one that has not ended, when it was heard of last."""
    shown = f'<span class="badge {text(run.state)}">{text(run.state)}</span>'
    if run.state == "finished":
        return shown
    when = _heard(run)
    return f'{shown} <span class="muted small nowrap">{text(when)}</span>' if when else shown


def _heard(run: RunView) -> str:
    """When a run logged last."""
    try:
        last = (run.path / "metrics.jsonl").stat().st_mtime
    except OSError:
        found = run.status.get("time")
        if not isinstance(found, int | float):
            return ""
        last = float(found)
    try:
        return time.strftime("logged last %Y-%m-%d %H:%M:%S", time.localtime(last))
    except (ValueError, OverflowError, OSError):
        return ""


def bullets(words: Iterable[str], style: str) -> str:
    """A list, or nothing where there is nothing to say; `words` are escaped here."""
    entries = "".join(f"<li>{text(word)}</li>" for word in words)
    return f'<ul class="{style}">{entries}</ul>' if entries else ""


def gaps(title: str, words: Sequence[str], most: int = 12, style: str = "") -> str:
    """What is missing or damaged, as a box; nothing where nothing is."""
    if not words:
        return ""
    rest = len(words) - most
    shown = [*words[:most], *([f"and {rest:,} more"] if rest > 0 else [])]
    return f'<div class="gaps {style}"><strong>{text(title)}</strong>{bullets(shown, "")}</div>'
