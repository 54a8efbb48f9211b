"""What the seed makes: the runs of one entrant, which are never declared different."""

from __future__ import annotations

import numpy as np

from mmdl.review.comparing import compare
from mmdl.review.entrants import Competitor
from mmdl.review.model import Comparison, Entrant, RunView
from mmdl.review.scored import Scored, read_scored
from mmdl.review.verdicts import digits_of, signed

SEEDS_ONLY = "no difference shown:"
"""How the verdicts begin that need no test."""

OF_ITEMS = "the interval and the tests are over the items of two runs, not over seeds"
ENDS = "the best and the worst of several runs: no test, since they were chosen for being far apart"


def seed_comparisons(competitor: Competitor) -> list[Comparison]:
    """The best run of an entrant against its worst, and runs against those that repeat them.

    Args:
        competitor: An entrant with its scores.

    Returns:
        None, one or several comparisons; no difference is shown in any of them.
    """
    found, scored = [], competitor.scored
    if not isinstance(scored, str) and len(scored.runs) > 1:
        order = np.argsort(-np.nanmean(scored.scores, axis=1), kind="stable")
        views = {run.id: run for run in competitor.views}
        ends = [(views[scored.runs[row]], _one(scored, row)) for row in (int(order[0]), int(order[-1]))]
        found.append(_pair(competitor, *ends[0], *ends[1]))
        found[-1].verdict = _spread(competitor.entrant)
        if (
            len(scored.runs) > 2
        ):  # the ends of many runs were chosen for being far apart: a test would say nothing
            found[-1].tests, found[-1].ci95, found[-1].caveats = [], None, [ENDS]
    by_seed = {run.seed: run for run in competitor.views}
    for repeat in competitor.repeats:
        first = by_seed[repeat.seed]
        sides = [read_scored([run], competitor.entrant.metric) for run in (first, repeat)]
        found.append(_pair(competitor, first, sides[0], repeat, sides[1]))
        found[-1].verdict = _repeated(found[-1], first.id, repeat.id)
    return found


def _one(scored: Scored, row: int) -> Scored:
    return scored._replace(scores=scored.scores[[row]], runs=[scored.runs[row]], notes=[])


def _pair(
    competitor: Competitor, first: RunView, one: Scored | str, second: RunView, other: Scored | str
) -> Comparison:
    metric = competitor.entrant.metric
    sides = [
        Competitor(Entrant(run.id, [run.id], metric=metric), [run], scored=scored)
        for run, scored in ((first, one), (second, other))
    ]
    found = compare(sides[0], sides[1])
    found.caveats = [OF_ITEMS]
    return found


def _spread(entrant: Entrant) -> str:
    runs = entrant.runs
    listed = " and ".join(runs) if len(runs) == 2 else f"the {len(runs)} runs of {entrant.label}"
    text = f"{SEEDS_ONLY} {listed} differ in their seed only"
    if entrant.deviation is None:
        return text
    digits = digits_of(entrant.deviation)
    low, high = min(entrant.values), max(entrant.values)
    return (
        f"{text}; from seed to seed {entrant.metric} has a standard deviation of {entrant.deviation:.{digits}f} "
        f"({low:.{digits}f} to {high:.{digits}f})"
    )


def _repeated(found: Comparison, first: str, second: str) -> str:
    text = f"{SEEDS_ONLY} {first} and {second} have the same configuration and seed"
    if found.difference is None:
        return text
    if found.counts and found.difference == 0 and not any(found.counts[:2]):
        return f"{text}, and the same scores"
    digits = digits_of(abs(found.difference))
    return (
        f"{text}; their scores differ by {signed(found.difference, digits)} all the same: "
        "the training does not repeat bit for bit, or the code has changed"
    )
