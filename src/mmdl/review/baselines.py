"""The baselines of an entrant: what scores on the same items without looking, as entrants of their own."""

from __future__ import annotations

from collections.abc import Iterator

from mmdl.review.entrants import Competitor, settle
from mmdl.review.model import Entrant, RunView
from mmdl.review.scored import baseline_names


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
        yield Competitor(entrant, views, of=competitor.label)


def spoken(name: str) -> str:
    """`question_only` as a word.

    >>> spoken("question_only")
    'question-only'
    """
    return name.replace("_", "-")


def _figure_name(run: RunView, baseline: str) -> str:
    return f"baseline/{baseline}/{run.metric.partition('/')[2]}"
