"""The scores of an entrant, run by run, on the same items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdl.review.items import list_items, read_items
from mmdl.review.model import Items, RunView
from mmdl.runs.item_records import base_of


class Scored(NamedTuple):
    """Scores of the runs of an entrant.

    Attributes:
        items: Of the first run: ids, clusters, references, kind, split and metric.
        scores: `(R, N)` float64 in [0, 1], one row a run; NaN where there is no reference.
        runs: Ids of these runs.
        notes: What was left out, one sentence each.
    """

    items: Items
    scores: NDArray[np.float64]
    runs: list[str]
    notes: list[str]


def items_name(run: RunView, metric: str, baseline: str = "") -> str:
    """The name of the predictions that a figure is the mean of.

    Args:
        run: Its folder is looked at.
        metric: Full name of the figure, such as `test/text_to_image/recall@1`.
        baseline: Name of the baseline, or empty.

    Returns:
        `test`, `test_text_to_image`, `test_baseline_question_only`: one that is there, if there is any.
    """
    split, _, rest = metric.partition("/")
    split = split or "test"
    stem = f"{split}_baseline_{baseline}" if baseline else split
    direction = rest.split("/")[0]
    wanted = [f"{stem}_{direction}", stem] if direction in ("text_to_image", "image_to_text") else [stem]
    there = list_items(run.path)
    others = [name for name in there if base_of(name) == split and "_baseline_" not in name and not baseline]
    return next((name for name in [*wanted, *others] if name in there), stem)


def baseline_names(run: RunView) -> list[str]:
    """Names of the baselines of a run: those with predictions, and those with a figure of the run's metric."""
    split, _, metric = run.metric.partition("/")
    start = f"{split or 'test'}_baseline_"
    files = [name.removeprefix(start) for name in list_items(run.path) if name.startswith(start)]
    plain = [name.removesuffix("_text_to_image").removesuffix("_image_to_text") for name in files]
    ends = f"/{metric}"
    figures = [
        name.removeprefix("baseline/").removesuffix(ends)
        for name, figure in run.summary.items()
        if name.startswith("baseline/") and name.endswith(ends) and figure.value is not None
    ]
    figures = [name for name in figures if "/" not in name]
    return list(dict.fromkeys([*plain, *figures]))


def read_scored(views: Sequence[RunView], metric: str, baseline: str = "") -> Scored | str:
    """The scores of some runs on the same items.

    Args:
        views: The runs of an entrant.
        metric: Full name of the figure.
        baseline: Of these runs, instead of themselves.

    Returns:
        The scores; or one sentence that says why there are none.
    """
    first: Items | None = None
    rows: list[NDArray[np.float64]] = []
    runs: list[str] = []
    notes: list[str] = []
    reasons: dict[str, list[str]] = {}
    for run in views:
        found = read_items(run.path, items_name(run, metric, baseline), keep_records=False)
        if isinstance(found, str):
            reasons.setdefault(_reason(run, found, baseline), []).append(run.id)
            continue
        notes += [f"{run.id}: {gap}" for gap in found.gaps]
        if first is None:
            first = found
        row = aligned(first, found, (runs[0] if runs else run.id, run.id))
        if isinstance(row, str):
            notes.append(f"{run.id} is left out of the comparison: {row}")
            continue
        rows.append(row)
        runs.append(run.id)
    said = [
        f"{' and '.join(ids) if len(ids) < 4 else f'{len(ids)} runs'}: {why}" for why, ids in reasons.items()
    ]
    if first is None:
        return "; ".join(said)
    return Scored(first, np.stack(rows), runs, notes + said)


def constant(scored: Scored, value: float) -> Scored:
    """A chance level as scores on the items of an entrant: it is known without predictions.

    Args:
        scored: Of the entrant.
        value: Expected score of every item.
    """
    return scored._replace(scores=np.full_like(scored.scores, value), notes=[])


def _reason(run: RunView, found: str, baseline: str) -> str:
    """Why a run has no scores."""
    if "is missing" not in found:
        return found
    if run.state == "running":
        return "not tested yet, still running"
    if run.state in ("killed", "failed", "stopped", "preempted"):
        return f"{run.state} before the test"
    return "no predictions of this baseline were kept" if baseline else f"no test predictions ({found})"


def aligned(first: Items, other: Items, labels: tuple[str, str]) -> NDArray[np.float64] | str:
    """The scores of `other` in the order of the items of `first`; or what keeps the two from being compared.

    Args:
        first: Scored items.
        other: Of another run.
        labels: What the two are called.

    Returns:
        `(N,)` scores; or a sentence that names the items that differ.
    """
    unlike = [
        f"{what} {one!r} against {two!r}"
        for what, one, two in (("split", first.split, other.split), ("metric", first.metric, other.metric))
        if one != two
    ]
    if unlike:
        return "they are scored otherwise: " + ", ".join(unlike)
    if first.ids == other.ids and first.references == other.references:
        return other.scores
    wrong = _unlike_items(first, other, labels)
    if wrong:
        return wrong
    places = {name: number for number, name in enumerate(other.ids)}
    return other.scores[[places[name] for name in first.ids]]


def _unlike_items(first: Items, other: Items, labels: tuple[str, str]) -> str:
    """Which items differ, or an empty string."""
    places = {name: number for number, name in enumerate(other.ids)}
    only_first = [name for name in first.ids if name not in places]
    known = set(first.ids)
    only_other = [name for name in other.ids if name not in known]
    changed = [
        name
        for name, reference in zip(first.ids, first.references, strict=True)
        if name in places and other.references[places[name]] != reference
    ]
    parts = [
        f"{len(ids):,} {said} ({_named(ids)})"
        for ids, said in (
            (only_first, f"only in {labels[0]}"),
            (only_other, f"only in {labels[1]}"),
            (changed, "with other references"),
        )
        if ids
    ]
    return f"of {len(known | places.keys()):,} {first.split} items " + ", ".join(parts) if parts else ""


def _named(ids: list[str], most: int = 3) -> str:
    shown = ", ".join(name if len(name) <= 40 else name[:39] + "…" for name in ids[:most])
    return f"e.g. {shown}" if len(ids) > most else shown
