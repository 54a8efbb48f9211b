"""Retrieval: recall in both directions, and grids of what fixed queries find."""

from __future__ import annotations

from mmdl.review.browsing.prediction_sets import PredictionSet, prediction_sets
from mmdl.review.browsing.ranks import KS, recalls
from mmdl.review.browsing.shown import shown
from mmdl.review.model import Review
from mmdl.review.page.section import Section, text

SCRIPTS = (
    "theme.js",
    "series.js",
    "browse_data.js",
    "browse_rows.js",
    "predictions.css",
    "retrieval.js",
    "retrieval.css",
)


def section(review: Review) -> Section | None:
    """Recall and grids; None where no run retrieves. The grids are drawn from the data of the browser."""
    sets = [found for found in prediction_sets(review)[0] if found.kind == "retrieval"]
    if not sets:
        return None
    return Section("retrieval", "Retrieval", "".join(map(_recalls, sets)) + GRID, None, SCRIPTS)


def _recalls(found: PredictionSet) -> str:
    rows = []
    for column in found.columns:
        known = recalls(column.ranks)
        name = f'<th scope="row">{text(shown(column.label, 80))}</th>'
        if known is None:
            rows.append(
                f'<tr>{name}<td colspan="{len(KS) + 2}" class="muted">its records tell no ranks</td></tr>'
            )
            continue
        cells = "".join(f'<td class="number">{100 * share:.1f}%</td>' for share in known.at)
        rows.append(
            f'<tr>{name}{cells}<td class="number">{known.median:g}</td><td class="number">{known.n:,}</td></tr>'
        )
    heads = "".join(f'<th scope="col" class="number">recall@{k}</th>' for k in KS)
    texts = "Captions find images" if found.name.endswith("text_to_image") else "Images find captions"
    title = f"{texts}, {shown(found.split, 40)}"
    return (
        f'<h3>{text(title)}</h3><div class="table" tabindex="0" role="region" aria-label="{text(title)}"><table>'
        f'<thead><tr><th scope="col">run</th>{heads}<th scope="col" class="number">median rank</th>'
        f'<th scope="col" class="number">queries</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


GRID = """
<div id="retrieval-grid" class="retrievalgrid">
<div class="toolbar">
<label>Direction <select data-part="set"></select></label>
<label>Run <select data-part="run"></select></label>
<label>against <select data-part="other"></select></label>
<button type="button" data-part="more">Other queries</button></div>
<p class="note">Queries evenly spread over the items of this page, the same for every run; a right one has a green
frame. A click opens the item.</p>
<ol class="queries" data-part="queries"></ol>
</div>
"""
