"""The browser of predictions: what each run answered to which item, and where two runs differ."""

from __future__ import annotations

import math

from mmdl.review.browsing.group_scores import group_scores
from mmdl.review.browsing.item_images import item_images
from mmdl.review.browsing.payload import payload
from mmdl.review.browsing.prediction_sets import PredictionSet, prediction_sets
from mmdl.review.browsing.shown import shown
from mmdl.review.images import item_image_notes
from mmdl.review.model import Review
from mmdl.review.page.section import Section, text

SCRIPTS = (
    "theme.js",
    "series.js",
    "browse_data.js",
    "browse_rows.js",
    "browse_item.js",
    "browse_filters.js",
    "predictions.js",
    "predictions.css",
    "predictions_item.css",
)
TITLES = {
    "vqa": "questions",
    "classification": "classified images",
    "retrieval": "retrieval",
    "generation": "generated answers",
}
MOST_GAPS = 12


def section(review: Review) -> Section | None:
    """The browser; without predictions, what is missing."""
    sets, gaps = prediction_sets(review)
    gaps = [*gaps, *_lost_images(review, sets)]
    if not sets:
        return Section("predictions", "Predictions", _gaps(gaps)) if gaps else None
    data = payload(sets, item_images(review))
    for found, made in zip(sets, data["sets"], strict=True):
        made["title"] = _title(found)
    images = item_images(review)
    if images.left_out:
        gaps.append(
            f"{images.left_out:,} images found no room in this page; they are in media/items of the runs"
        )
    if images.damaged:
        gaps.append(f"{images.damaged:,} image files are damaged")
    tables = "".join(_scores(found) for found in sets)
    return Section("predictions", "Predictions", BROWSER + tables + _gaps(gaps), data, SCRIPTS)


def _title(found: PredictionSet) -> str:
    name = shown(found.name, 60)
    direction = {"text_to_image": "captions find images", "image_to_text": "images find captions"}
    kind = next(
        (said for end, said in direction.items() if name.endswith(end)), TITLES.get(found.kind, found.kind)
    )
    return f"{shown(found.split, 40)} · {kind} ({len(found.ids):,})"


def _lost_images(review: Review, sets: list[PredictionSet]) -> list[str]:
    lines = []
    for run in review.runs:
        for name in dict.fromkeys(
            found.name for found in sets if any(c.run == run.id for c in found.columns)
        ):
            lines += [f"{run.id}: {note}" for note in item_image_notes(run.path, name)]
    return list(dict.fromkeys(lines))


def _gaps(gaps: list[str]) -> str:
    if not gaps:
        return ""
    more = f"<li>{len(gaps) - MOST_GAPS:,} more like these</li>" if len(gaps) > MOST_GAPS else ""
    lines = "".join(f"<li>{text(shown(gap, 300))}</li>" for gap in gaps[:MOST_GAPS])
    return f'<div class="gaps"><ul>{lines}{more}</ul></div>'


def _scores(found: PredictionSet) -> str:
    """Tables of scores by group, each column's best group of runs easily seen by its bars."""
    names = list(dict.fromkeys(name for facts in found.facts[:1000] for name in facts.groups))
    tables = ""
    for name in names:
        groups = [] if found.kind == "retrieval" else group_scores(found, name)
        if not groups:
            continue
        head = "".join(
            f'<th scope="col" class="number">{text(shown(c.label, 60))}</th>' for c in found.columns
        )
        rows = "".join(
            f'<tr><th scope="row" dir="auto">{text(shown(g.value, 80))}</th><td class="number">{g.n:,}</td>'
            f"{''.join(map(_mean, g.means))}</tr>"
            for g in groups
        )
        caption = f"{shown(found.metric, 60)} by {name}, {found.split}, all {len(found.ids):,} items"
        tables += (
            f'<div class="table groupscores" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
            f'<caption>{text(caption)}</caption><thead><tr><th scope="col">{text(name)}</th>'
            f'<th scope="col" class="number">n</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        )
    if not tables:
        return ""
    return f'<details class="scoretables"><summary>Scores by group: {text(_title(found))}</summary>{tables}</details>'


def _mean(mean: float) -> str:
    if math.isnan(mean):
        return '<td class="number muted">none</td>'
    return (
        f'<td class="number"><span class="meanbar" style="--share:{mean:.3f}">{100 * mean:.1f}%</span></td>'
    )


BROWSER = """
<div id="browser" class="browser" data-view="list">
<noscript><p class="note">The browser needs scripts.</p></noscript>
<div class="toolbar browserbar">
<label>Items <select data-part="set"></select></label>
<label>Run <select data-part="a"></select></label>
<label>against <select data-part="b"></select></label>
<label>Sorted by <select data-part="sort"></select></label>
<span class="segmented" role="group" aria-label="View">
<button type="button" data-view-choice="list" aria-pressed="true">List</button>
<button type="button" data-view-choice="grid" aria-pressed="false">Grid</button></span>
</div>
<div class="browsermain">
<details class="filters" data-part="filters" open><summary>Filters <span class="badge" hidden>on</span></summary>
<label class="choice"><span class="legendlike">Search</span>
<input type="search" placeholder="question, answer, id" aria-keyshortcuts="/" autocomplete="off"
spellcheck="false"></label>
<div data-part="choices"></div>
<div class="choice range" data-part="range" hidden><span class="legendlike">Confidence</span>
<div class="histogram" data-part="histogram" aria-hidden="true"></div>
<input type="range" min="0" max="1" step="0.01" value="0" aria-label="Confidence of at least">
<input type="range" min="0" max="1" step="0.01" value="1" aria-label="Confidence of at most">
<output></output></div>
<button type="button" data-part="clear">Clear all filters</button>
<p class="keys">Keys: <kbd>j</kbd> <kbd>k</kbd> move, <kbd>Enter</kbd> opens, <kbd>Esc</kbd> closes,
<kbd>/</kbd> searches.</p>
</details>
<div class="results">
<p class="summary" data-part="summary" aria-live="polite"></p>
<p class="note" data-part="note"></p>
<ol class="items" data-part="items"></ol>
<p class="nothing" data-part="none" hidden>No item fits all filters.</p>
<nav class="pages" data-part="pages" aria-label="Pages of items" hidden>
<button type="button" data-part="before">← Before</button> <span data-part="where"></span>
<button type="button" data-part="after">After →</button></nav>
</div>
</div>
<dialog class="itemdialog" data-part="dialog" aria-label="One item"></dialog>
</div>
"""
