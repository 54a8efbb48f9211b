"""Two entrants on the same items: interval of the difference, tests, and the items that tell them apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmdl.metrics.mcnemar import mcnemar
from mmdl.metrics.paired_bootstrap import paired_bootstrap_interval
from mmdl.metrics.paired_permutation import paired_permutation_test
from mmdl.metrics.seeds_and_items import runs_difference
from mmdl.review.baselines import CHANCE
from mmdl.review.entrants import Competitor, differ_in_name_only
from mmdl.review.model import Comparison, SignificanceTest
from mmdl.review.scored import Scored, aligned

RIGHT = 0.5
"""Score from which on an item counts as right."""

MANY_ITEMS = 20_000
RESAMPLES = 5000
RESAMPLES_OF_MANY = 2000
SWAPS = 9999
SWAPS_BESIDE = 1999
"""Where the test over seeds decides."""

SAME_BUT_NAME = (
    "their configurations differ in nothing but the name and the seed: "
    "unless code or data differ, the seed makes this"
)
ONE_RUN = "one run each: how much of the difference the seed makes is not known"


def compare(first: Competitor, second: Competitor) -> Comparison:
    """Compare two entrants; the verdict is left to `verdicts.judge`, which knows how many comparisons there are.

    Args:
        first: An entrant with its scores.
        second: Another one.

    Returns:
        The comparison; `refused` is set where scores are not of the same items.
    """
    one, other = first.scored, second.scored
    found = Comparison(
        first.label,
        second.label,
        first.entrant.runs,
        second.entrant.runs,
        first.entrant.metric or second.entrant.metric,
        verdict="",
    )
    if isinstance(one, str) or isinstance(other, str):
        found.refused = "; ".join(side for side in (one, other) if isinstance(side, str))
        means = (first.entrant.mean, second.entrant.mean)
        if first.label in second.of and means[0] is not None and means[1] is not None:
            found.refused = "no predictions of the baseline were kept; by the summary they score "
            found.refused += f"{means[0]:.3f} and {means[1]:.3f}"
        return found
    found.first_runs, found.second_runs = one.runs, other.runs
    scores = _same_items(found, one, other)
    if scores is None:
        return found
    clusters = None if one.items.clusters is None else np.asarray(one.items.clusters)
    left, right, clusters = _referenced(*scores, clusters)
    if not left.size:
        found.refused = "no item has a reference in both"
        return found
    found.metric = f"{one.items.split}/{one.items.metric}"
    found.n = left.shape[1]
    found.clusters = found.n if clusters is None else len(np.unique(clusters))
    a, b = left.mean(0), right.mean(0)
    found.values = (float(a.mean()), float(b.mean()))
    found.difference = found.values[0] - found.values[1]
    found.counts = _counts(a >= RIGHT, b >= RIGHT)
    found.caveats = [*dict.fromkeys(one.notes + other.notes)]
    if one.items.metric != first.entrant.metric.partition("/")[2]:
        found.caveats.append(
            f"{first.entrant.metric} is no mean over items: they are compared by {found.metric}"
        )
    is_number = second.entrant.baseline == CHANCE
    if max(len(left), len(right)) > 1:
        _over_seeds(found, left, right, clusters)
    else:
        _over_items(found, a, b, clusters)
        if not (first.of or second.of):
            found.caveats.append(ONE_RUN)
    if not (first.of or second.of) and differ_in_name_only(first, second):
        found.caveats.append(SAME_BUT_NAME)
    if is_number:  # nothing is right or wrong in it
        found.tests, found.counts = found.tests[:1], None
    return found


def _same_items(
    found: Comparison, one: Scored, other: Scored
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    rows = []
    for scores in other.scores:
        items = other.items
        row = aligned(
            one.items, type(items)(**{**vars(items), "scores": scores}), (found.first, found.second)
        )
        if isinstance(row, str):
            found.refused = row
            return None
        rows.append(row)
    return one.scores, np.stack(rows)


def _referenced(
    left: NDArray[np.float64], right: NDArray[np.float64], clusters: NDArray[np.str_] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_] | None]:
    """Without the items that have no score."""
    there = np.isfinite(left).all(0) & np.isfinite(right).all(0)
    return left[:, there], right[:, there], None if clusters is None else clusters[there]


def _counts(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    both = int((first & second).sum())
    return only_first, only_second, both, len(first) - only_first - only_second - both


def _over_items(
    found: Comparison, a: NDArray[np.float64], b: NDArray[np.float64], clusters: NDArray[np.str_] | None
) -> None:
    """One run a side: the interval covers the choice of the items."""
    resamples = RESAMPLES if len(a) <= MANY_ITEMS else RESAMPLES_OF_MANY
    found.ci95 = paired_bootstrap_interval(a, b, resamples=resamples, clusters=clusters)
    found.tests = [_permutation(found, a, b, clusters), _mcnemar(found)]


def _permutation(
    found: Comparison,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    clusters: NDArray[np.str_] | None,
    swaps: int = SWAPS,
) -> SignificanceTest:
    what = "items" if found.clusters == found.n else f"{found.clusters:,} clusters"
    return SignificanceTest(
        "paired permutation",
        paired_permutation_test(a, b, clusters, resamples=swaps),
        f"the scores of {what} swapped",
    )


def _mcnemar(found: Comparison) -> SignificanceTest:
    assert found.counts is not None
    only_first, only_second = found.counts[:2]
    detail = f"right by {found.first} only: {only_first:,}, by {found.second} only: {only_second:,}"
    if found.clusters != found.n:
        detail += "; it takes items of one cluster as independent"
    return SignificanceTest("McNemar, exact", mcnemar(only_first, only_second), detail)


def _over_seeds(
    found: Comparison,
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    clusters: NDArray[np.str_] | None,
) -> None:
    """Several runs on a side: the interval covers the choice of the seeds too."""
    over = runs_difference(left, right, clusters)
    found.ci95 = (over.low, over.high)
    found.tests = [
        SignificanceTest(
            "t test over seeds and items",
            over.p,
            f"standard error of items {over.error_of_items:.4f}, of seeds {over.error_of_seeds:.4f}, "
            f"{over.degrees:.1f} degrees of freedom",
        ),
        _permutation(found, left.mean(0), right.mean(0), clusters, SWAPS_BESIDE),
    ]
    found.tests[1] = found.tests[1]._replace(
        name="paired permutation, items only", detail=f"{found.tests[1].detail}, of the means over runs"
    )
    if over.error_of_seeds > over.error_of_items:
        found.caveats.append(
            f"seeds make most of the width of this interval (standard error {over.error_of_seeds:.4f}, of items "
            f"{over.error_of_items:.4f}): more seeds would narrow it"
        )
    single = found.first if len(left) == 1 else found.second if len(right) == 1 else ""
    if single:
        found.caveats.append(f"{single} is one run: its seeds are taken to vary as those of the other do")
