"""What competes in a review: runs that differ in nothing but their seed are one entrant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmdl.review.model import Entrant, RunView
from mmdl.review.scored import Scored
from mmdl.runs.computed import computed


@dataclass
class Competitor:
    """An entrant with its runs.

    Attributes:
        entrant: What the views of a review show of it.
        views: Its runs; of a baseline, the runs that it was trained beside.
        repeats: Runs with the seed of another of its runs: they count once, and are not among the runs of the entrant.
        of: Labels of the entrants whose baseline it is; empty for others.
        scored: Its scores on the items, once they are read; or why there are none.
    """

    entrant: Entrant
    views: list[RunView]
    repeats: list[RunView] = field(default_factory=list)
    of: tuple[str, ...] = ()
    scored: Scored | str = "not read"

    @property
    def label(self) -> str:
        """Of the entrant."""
        return self.entrant.label


def fold(runs: Sequence[RunView]) -> list[Competitor]:
    """The entrants of a review, in the order of their first run; those of one metric stand together.

    Runs are one entrant where configuration, test data and metric are the same but for the seed. Where a seed occurs
    again with other code or other training data, that is what was compared, and they are told apart by it.

    Args:
        runs: With unique ids.
    """
    groups: dict[str, list[RunView]] = {}
    for run in runs:
        groups.setdefault(_key(run), []).append(run)
    parts = [part for group in groups.values() for part in _told_apart(group)]
    metrics = list(dict.fromkeys(part[0].metric for part in parts))
    found = [_competitor(part) for metric in metrics for part in parts if part[0].metric == metric]
    _name(found)
    return found


def _key(run: RunView) -> str:
    if not run.config:
        return f"unreadable {run.id}"  # nothing says that it is the same as another one
    data = run.manifest.get("data")
    test = data.get("test") if isinstance(data, dict) else None
    return json.dumps([computed(run.config), run.metric, test], sort_keys=True, default=str)


def _told_apart(group: list[RunView]) -> list[list[RunView]]:
    """The runs of one configuration, by code, or by training data, if a seed has scores with several of them."""
    tested = [run for run in group if _score(run) is not None]
    for mark in (code_of, _data):
        seeds: dict[Any, set[str]] = {}
        for run in tested:
            seeds.setdefault(run.seed, set()).add(mark(run))
        if any(len(found) > 1 for found in seeds.values()):
            parts: dict[str, list[RunView]] = {mark(run): [] for run in tested}
            first = next(iter(parts))
            for run in group:
                parts.get(mark(run), parts[first]).append(run)
            return list(parts.values())
    return [group]


def _data(run: RunView) -> str:
    return json.dumps(run.manifest.get("data"), sort_keys=True, default=str)


def differ_in_name_only(first: Competitor, second: Competitor) -> bool:
    """Whether the runs of two entrants compute the same, whatever they are called."""
    one, other = (computed(side.views[0].config) for side in (first, second))
    if not (one and other):
        return False
    return bool({**one, "name": ""} == {**other, "name": ""})


def code_of(run: RunView) -> str:
    """The commits that a run was trained with, shortened; empty where unknown."""
    found = (run.manifest.get(name) for name in ("git", "mmdl_git"))
    return "/".join(str(git["commit"])[:8] for git in found if isinstance(git, dict) and git.get("commit"))


def _competitor(group: list[RunView]) -> Competitor:
    views: list[RunView] = []
    repeats: list[RunView] = []
    # first those with a score: a run may have been repeated after it was killed
    for run in sorted(group, key=lambda run: _score(run) is None):
        again = any(run.seed is not None and run.seed == other.seed for other in views)
        (repeats if again else views).append(run)
    order = {run.id: number for number, run in enumerate(group)}
    views.sort(key=lambda run: order[run.id])
    entrant = Entrant("", [run.id for run in views], metric=views[0].metric)
    entrant.values = [value for run in views if (value := _score(run)) is not None]
    only = views[0].summary.get(entrant.metric) if len(views) == 1 else None
    entrant.ci95 = only.ci95 if only else None
    counts = {run.summary[entrant.metric].n for run in views if _score(run) is not None}
    entrant.n = counts.pop() if len(counts) == 1 else None
    entrant.seconds = [_figure(run, "time/train_s", "time/fit_s") for run in views]
    entrant.samples = [_figure(run, "cost/samples") for run in views]
    entrant.flops = [_figure(run, "cost/flops") for run in views]
    settle(entrant)
    return Competitor(entrant, views, repeats)


def settle(entrant: Entrant) -> None:
    """Mean and deviation from the values."""
    values = entrant.values
    entrant.mean = float(np.mean(values)) if values else None
    entrant.deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None


def _score(run: RunView) -> float | None:
    found = run.summary.get(run.metric)
    return found.value if found else None


def _figure(run: RunView, *names: str) -> float | None:
    values = (run.summary[name].value for name in names if name in run.summary)
    return next((value for value in values if value is not None), None)


def _name(competitors: list[Competitor]) -> None:
    """Short unique labels: the id of a single run, else the name of the experiment, and what tells it from others."""
    names = [c.views[0].name or c.views[0].id for c in competitors]
    for competitor, name in zip(competitors, names, strict=True):
        many = len(competitor.views) > 1
        competitor.entrant.label = name if many else competitor.views[0].id
        if many and names.count(name) > 1:
            others = [c for c, other in zip(competitors, names, strict=True) if other == name]
            competitor.entrant.label = f"{name} {_telling(competitor, others)}"
    seen: set[str] = set()
    for competitor in competitors:
        if competitor.label in seen:
            competitor.entrant.label = f"{competitor.label} {competitor.views[0].id}"
        seen.add(competitor.label)


def _telling(competitor: Competitor, others: list[Competitor]) -> str:
    """`lr=0.01`, where one or two keys tell the competitors of one name apart; else the id of the first run."""
    from mmdl.review.differences import config_differences

    views = [other.views[0] for other in others]
    found = [d for d in config_differences(views).kept if d.key != "seed"]
    own = competitor.views[0].id
    words = [f"{d.key.rpartition('.')[2]}={d.values[own]}" for d in found if own in d.values]
    short = 1 <= len(found) <= 2 and len(words) == len(found) and all(len(word) <= 32 for word in words)
    return " ".join(words) if short else own
