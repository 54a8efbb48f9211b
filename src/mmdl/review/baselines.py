"""The baselines of an entrant: what scores on the same items without looking, as entrants of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from mmdl.review.entrants import Competitor, settle
from mmdl.review.model import Entrant, RunView
from mmdl.review.scored import aligned, baseline_names


def baselines_of(competitor: Competitor, is_only: bool) -> Iterator[Competitor]:
    """The baselines that the runs of an entrant were tested beside.

    Args:
        competitor: An entrant.
        is_only: No other entrant of the review has baselines: their labels are short.
    """
    names = dict.fromkeys(name for run in competitor.views for name in baseline_names(run))
    for name in names:
        views = [run for run in competitor.views if name in baseline_names(run)]
        said = f"{spoken(name)} baseline"
        entrant = Entrant(
            said if is_only else f"{competitor.label}: {said}",
            [run.id for run in views],
            baseline=name,
            metric=competitor.entrant.metric,
        )
        figures = [run.summary.get(_figure_name(run, name)) for run in views]
        entrant.values = [figure.value for figure in figures if figure and figure.value is not None]
        counts = {figure.n for figure in figures if figure}
        entrant.n = counts.pop() if len(counts) == 1 else None
        if len(figures) == 1 and figures[0]:
            entrant.ci95 = figures[0].ci95
        settle(entrant)
        yield Competitor(entrant, views, of=(competitor.label,))


CHANCE = "chance"
"""Name of the baseline that is a number: what guessing would reach."""


def merge_equal(baselines: Sequence[Competitor]) -> dict[int, Competitor]:
    """Baselines of several entrants that score the same on every item become one: the most common answer is.

    Args:
        baselines: All of the review, with their scores.

    Returns:
        `id()` of each -> the one that stands for it: itself, or another one, whose label is short then.
    """
    groups: list[list[Competitor]] = []
    for one in baselines:
        same = next((group for group in groups if _is_equal(group[0], one)), None)
        if same is None:
            groups.append([one])
        else:
            same.append(one)
    counts = Counter(group[0].entrant.baseline for group in groups)
    for first, *others in groups:
        if not others:
            continue
        first.of = tuple(label for one in (first, *others) for label in one.of)
        first.views = [run for one in (first, *others) for run in one.views]
        first.entrant.runs = [run.id for run in first.views]
        name, metric = first.entrant.baseline, first.entrant.metric
        first.entrant.label = f"{spoken(name)} baseline" + (f" ({metric})" if counts[name] > 1 else "")
    return {id(one): group[0] for group in groups for one in group}


def _is_equal(one: Competitor, other: Competitor) -> bool:
    if (one.entrant.baseline, one.entrant.metric) != (other.entrant.baseline, other.entrant.metric):
        return False
    first, second = one.scored, other.scored
    if isinstance(first, str) or isinstance(second, str) or first.items.ids != second.items.ids:
        return False
    if isinstance(aligned(first.items, second.items, (one.label, other.label)), str):
        return False
    row = first.scores[0]
    return all(np.array_equal(row, own, equal_nan=True) for own in (*first.scores, *second.scores))


def spoken(name: str) -> str:
    """`question_only` as a word.

    >>> spoken("question_only")
    'question-only'
    """
    return name.replace("_", "-")


def _figure_name(run: RunView, baseline: str) -> str:
    return f"baseline/{baseline}/{run.metric.partition('/')[2]}"
