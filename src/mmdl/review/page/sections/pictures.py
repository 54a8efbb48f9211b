"""Pictures of the evaluation, and how they changed over the training."""

from __future__ import annotations

from typing import Any

from mmdl.review.browsing.item_images import data_uri
from mmdl.review.browsing.run_pictures import RunPicture, run_pictures
from mmdl.review.browsing.shown import shown
from mmdl.review.model import Review
from mmdl.review.page.section import Section, text

LIMIT = 10_000_000
"""Characters of pictures in a page."""
AS_THEY_ARE, SIDE = 120_000, 1400
"""Bytes up to which a picture is taken as it is, and pixels of the longer side of a larger one."""
SCRIPTS = ("theme.js", "series.js", "browse_rows.js", "pictures.js", "pictures.css")


def section(review: Review) -> Section | None:
    """One picture at a time, of one run or two; None where no run has any."""
    found = run_pictures(review)
    if not found:
        return None
    places, uris, left_out, damaged = _embedded(found)
    names: dict[str, dict[str, list[list[Any]]]] = {}
    for picture, place in zip(found, places, strict=True):
        if place >= 0:
            by_run = names.setdefault(shown(picture.name, 100), {})
            by_run.setdefault(shown(picture.run, 80), []).append([picture.step, place])
    notes = []
    if left_out:
        notes.append(f"{left_out:,} pictures found no room in this page; they are in the run folders")
    if damaged:
        names_of = ", ".join(shown(name, 80) for name in _damaged(found, places)[:3])
        notes.append(f"{damaged:,} {'picture is' if damaged == 1 else 'pictures are'} damaged: {names_of}")
    gaps = (
        f'<div class="gaps"><ul>{"".join(f"<li>{text(note)}</li>" for note in notes)}</ul></div>'
        if notes
        else ""
    )
    if not names:
        return Section("pictures", "Pictures", gaps)
    data = {"pictures": [{"name": name, "runs": by_run} for name, by_run in names.items()], "images": uris}
    return Section("pictures", "Pictures", VIEWER + gaps, data, SCRIPTS)


LEFT_OUT, DAMAGED = -1, -2


def _embedded(found: list[RunPicture]) -> tuple[list[int], list[str], int, int]:
    """Place of each picture among the data URIs, these, and how many are left out or damaged.

    The last of each run come first, so that every run has one while there is room.
    """
    order = sorted(range(len(found)), key=lambda n: (-(found[n].step or 1e15), n))
    places, left = [LEFT_OUT] * len(found), LIMIT
    uris: list[str] = []
    contents: dict[bytes, int] = {}
    for n in order:
        try:
            content = found[n].path.read_bytes()
        except OSError:
            places[n] = DAMAGED
            continue
        if content not in contents:
            uri = data_uri(content, AS_THEY_ARE, SIDE) if left > 0 else ""
            if uri is None:
                places[n] = DAMAGED
                continue
            if not uri or len(uri) > left:
                continue
            left -= len(uri)
            contents[content] = len(uris)
            uris.append(uri)
        places[n] = contents[content]
    return places, uris, places.count(LEFT_OUT), places.count(DAMAGED)


def _damaged(found: list[RunPicture], places: list[int]) -> list[str]:
    return [
        f"{picture.run}/{picture.path.name}"
        for picture, place in zip(found, places, strict=True)
        if place == DAMAGED
    ]


VIEWER = """
<div id="picture-view">
<noscript><p class="note">The pictures need scripts.</p></noscript>
<div class="toolbar">
<label>Picture <select data-part="picture"></select></label>
<label>Run <select data-part="run"></select></label>
<label>beside <select data-part="other"></select></label>
<label data-part="stepping" hidden>Step <input type="range" min="0" step="1" data-part="step">
<output data-part="at"></output></label>
</div>
<div class="pictures" data-part="shown"></div>
</div>
"""
