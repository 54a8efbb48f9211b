"""Which entrants of a review are compared with which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmdl.errors import UserError, nearest
from mmdl.review.baselines import baselines_of, spoken
from mmdl.review.entrants import Competitor

ENTRANTS_WITH_BASELINES = 4
"""With more entrants than that, only those that others are compared with are compared with their baselines."""


class Pairing(NamedTuple):
    """Who meets whom.

    Attributes:
        main: The entrants that are no baselines.
        baselines: Those that are.
        references: Of each metric, the entrant that the others are compared with.
        pairs: First and second of each comparison.
        other_metrics: The same for entrants of two metrics, whose scores are not compared.
        is_asked_for: Whether `--against` has named the reference.
        without_baselines: Entrants whose baselines are left out.
    """

    main: list[Competitor]
    baselines: list[Competitor]
    references: list[Competitor]
    pairs: list[tuple[Competitor, Competitor]]
    other_metrics: list[tuple[Competitor, Competitor]]
    is_asked_for: bool
    without_baselines: int


def pair_up(main: list[Competitor], against: str | None) -> Pairing:
    """Each entrant with the one that is best on validation, or asked for, and with its own baselines.

    Choosing by validation keeps the test set out of it: the best on the test set would have the luck of that set.

    Args:
        main: Entrants.
        against: Label of an entrant or a baseline, or id of a run; None: the best on validation of each metric.

    Raises:
        UserError: if there is none as `against` says.
    """
    references = _best_on_validation(main)
    named = _named(main, against) if against is not None else None
    chosen = main
    if len(main) > ENTRANTS_WITH_BASELINES:
        chosen = [named] if named else references
    baselines = [b for one in chosen for b in baselines_of(one, is_only=len(main) == 1)]
    if against is not None:
        named = named or _named(baselines, against) or _baseline(baselines, against)
        if named is None:
            raise _unknown(against, main, baselines)
        pairs = [(named, other) for other in main if other is not named]
        references, others = [named], []
    else:
        pairs = [
            (one, other)
            for one in references
            for other in main
            if other is not one and other.entrant.metric == one.entrant.metric
        ]
        others = [(references[0], other) for other in references[1:]]
    by_label = {one.label: one for one in main}
    met = {(one.label, other.label) for one, other in pairs} | {(two.label, one.label) for one, two in pairs}
    pairs += [(by_label[of], b) for b in baselines for of in b.of if (of, b.label) not in met]
    return Pairing(main, baselines, references, pairs, others, against is not None, len(main) - len(chosen))


def _best_on_validation(main: list[Competitor]) -> list[Competitor]:
    found = []
    for metric in dict.fromkeys(one.entrant.metric for one in main):
        same = [one for one in main if one.entrant.metric == metric]
        found.append(max(same, key=lambda one: validated(one) or (-np.inf, -np.inf)))
    return found


def validated(competitor: Competitor) -> tuple[float, float] | None:
    """How good an entrant is on validation: greater is better. None where no run of it has finished validation."""
    views = competitor.views
    figures = [run.summary.get(f"best/{run.monitor}") for run in views]
    values = [figure.value for figure in figures if figure and figure.value is not None]
    if not values:
        return None
    mean = float(np.mean(values))
    return (mean if views[0].mode == "max" else -mean, float(len(values)))


def _named(competitors: Sequence[Competitor], wanted: str | None) -> Competitor | None:
    by_label = next((one for one in competitors if wanted == one.label), None)
    return by_label or next(
        (one for one in competitors if any(wanted == run.id for run in [*one.views, *one.repeats])), None
    )


def _baseline(baselines: Sequence[Competitor], wanted: str) -> Competitor | None:
    """By its name alone: equal baselines of several entrants become one of that label."""
    for one in baselines:
        said = spoken(one.entrant.baseline)
        names = (said, f"{said} baseline", f"{said} baseline ({one.entrant.metric})", one.entrant.baseline)
        if wanted in names:
            return one
    return None


def _unknown(against: str, main: Sequence[Competitor], baselines: Sequence[Competitor]) -> UserError:
    names = [one.label for one in [*main, *baselines]]
    names += [run.id for one in main for run in [*one.views, *one.repeats]]
    return UserError(
        f"--against {against}: nothing in this review has that name",
        valid=nearest(against, names),
        fix="the label of an entrant, or a run that is reviewed",
    )
