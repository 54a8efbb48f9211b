"""Keys of the configuration that differ, and the whole configuration of each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mmdl.review.model import Difference, Review, RunView
from mmdl.review.page.marks import swatch
from mmdl.review.page.section import Section, text

MOST_KEYS = 400
"""Differing keys in the table."""
MOST_LINES = 4000
"""Lines of one configuration."""
LONGEST = 2000
"""Characters of a line."""
SCRIPTS = ("configuration.js",)


def section(review: Review) -> Section:
    """A table of what differs; each configuration as `key: value` lines that can be searched."""
    parts = [_differences(review), "<h3>Whole configuration</h3>"]
    with_one = [run for run in review.runs if run.config]
    if with_one:
        parts.append(
            '<div class="toolbar"><input type="search" id="config-search" placeholder="Find: optimizer.lr …" '
            'aria-label="Find keys or values in all configurations">'
            '<span class="muted" id="config-found" aria-live="polite"></span></div>'
        )
    parts.append(f'<div class="run-list">{"".join(map(_whole, with_one))}</div>')
    parts += [
        f'<p class="note">{text(run.id)} has no configuration that can be read.</p>'
        for run in review.runs
        if not run.config
    ]
    return Section("configuration", "Configuration", "\n".join(parts), None, SCRIPTS if with_one else ())


def _differences(review: Review) -> str:
    if len(review.runs) < 2:
        return '<p class="note">One run only: there is nothing to tell apart.</p>'
    if not review.differences:
        return '<p class="note">No key that changes what is computed differs between these runs.</p>'
    heads = "".join(
        f'<th scope="col" data-sort="no">{swatch(run.id)}{text(run.id)}</th>' for run in review.runs
    )
    shown = review.differences[:MOST_KEYS]
    rows = "".join(_row(difference, review.runs) for difference in shown)
    rest = len(review.differences) - len(shown)
    note = f'<p class="note">{rest:,} more keys differ.</p>' if rest else ""
    return (
        f'<p class="note">{len(review.differences):,} '
        f"{'key differs' if len(review.differences) == 1 else 'keys differ'}; values that most runs don't have are "
        'marked.</p><div class="table wide" tabindex="0" role="region" aria-label="Keys that differ">'
        f'<table data-sortable><thead><tr><th scope="col">Key</th>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        f"</div>{note}"
    )


def _row(difference: Difference, runs: list[RunView]) -> str:
    counts = Counter(difference.values.get(run.id) for run in runs)
    common = counts.most_common(1)[0][0]  # of equally many the first run's
    cells = ""
    for run in runs:
        value = difference.values.get(run.id)
        if value is None:
            cells += '<td class="missing">not set</td>'
        else:
            cells += f'<td class="mono{"" if value == common else " other"}">{text(value)}</td>'
    key = text(difference.key).replace(".", ".<wbr>").replace("_", "_<wbr>")
    return f'<tr><th scope="row" class="mono">{key}</th>{cells}</tr>'


def _whole(run: RunView) -> str:
    lines = [f"{key}: {value}" for key, value in flat(run.config)]
    lines = [line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in lines]
    cut = len(lines) - MOST_LINES
    if cut > 0:
        lines = [*lines[:MOST_LINES], f"({cut:,} more lines in config.yaml)"]
    return (
        f'<details class="run-block"><summary>{swatch(run.id)} {text(run.id)} '
        f'<span class="muted small" data-config-count>{len(lines):,} lines</span></summary>'
        f'<pre class="config" tabindex="0">{text(chr(10).join(lines))}</pre></details>'
    )


def flat(value: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Dotted keys and their values as one line of text.

    >>> list(flat({"model": {"channels": [8, 16], "dropout": None}}))
    [('model.channels', '[8, 16]'), ('model.dropout', 'null')]
    """
    if isinstance(value, Mapping) and value and depth < 40:
        for key, item in value.items():
            yield from flat(item, f"{prefix}.{key}" if prefix else str(key), depth + 1)
    else:
        words = {None: "null", True: "true", False: "false"}.get(value) if _plain(value) else None
        yield prefix, " ".join((str(value) if words is None else words).split())


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)
