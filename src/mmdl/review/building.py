"""From run folders to a review: entrants, comparisons and what differs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmdl.metrics.bootstrap import bootstrap_interval
from mmdl.review.baselines import CHANCE, merge_equal, spoken
from mmdl.review.comparing import compare
from mmdl.review.differences import config_differences
from mmdl.review.entrants import Competitor, code_of, fold, settle
from mmdl.review.model import Comparison, Entrant, Review
from mmdl.review.pairing import Pairing, pair_up, validated
from mmdl.review.progress import said_of_unfinished
from mmdl.review.scored import constant, read_scored
from mmdl.review.seed_spread import seed_comparisons
from mmdl.review.verdicts import Words, judge
from mmdl.review.views import read_runs

AGREES = 1e-6
"""How far the mean of the predictions may be from the figure of the summary."""


def build_review(runs: Sequence[Path], against: str | None = None) -> Review:
    """Read runs, fold seeds, and compare.

    Args:
        runs: Run folders; they are only read.
        against: Label of an entrant, or id of a run, that all others are compared with; None: the one that is best on
            validation.

    Returns:
        The review.

    Raises:
        UserError: if there is no entrant as `against` says.
    """
    review = Review(read_runs(runs), made=time.strftime("%Y-%m-%dT%H:%M:%S%z"))
    pairing = pair_up(fold(review.runs), against)
    for one in [*pairing.main, *pairing.baselines]:
        one.scored = read_scored(one.views, one.entrant.metric, one.entrant.baseline)
    pairing = _settled(pairing)
    everyone = [*pairing.main, *pairing.baselines]
    for one in everyone:
        review.notes += _complete(one)
    review.comparisons = [compare(first, second) for first, second in pairing.pairs]
    review.comparisons += [_of_two_metrics(first, second) for first, second in pairing.other_metrics]
    judge(review.comparisons, {one.label: _words(one) for one in everyone})
    for one in pairing.main:
        review.comparisons += seed_comparisons(one)
    told = {caveat for found in review.comparisons for caveat in found.caveats}
    left = [note for one in everyone if not isinstance(one.scored, str) for note in one.scored.notes]
    review.notes += [note for note in dict.fromkeys(left) if note not in told]
    review.entrants = _ordered(everyone)
    differences = config_differences(review.runs)
    review.differences = differences.kept
    if differences.left_out:
        review.notes.append(f"{differences.left_out:,} more keys of the configuration differ")
    review.notes += _notes(pairing)
    review.notes += said_of_unfinished(review.runs)
    return review


def _settled(pairing: Pairing) -> Pairing:
    """With the scores of chance levels, and equal baselines as one."""
    by_label = {one.label: one for one in pairing.main}
    for one in pairing.baselines:
        parent, value = by_label[one.of[0]].scored, one.entrant.mean
        if one.entrant.baseline == CHANCE and value is not None and not isinstance(parent, str):
            one.scored = constant(parent, value)
    stands = merge_equal(pairing.baselines)
    pairs: dict[frozenset[int], tuple[Competitor, Competitor]] = {}
    for first, second in pairing.pairs:
        pair = (stands.get(id(first), first), stands.get(id(second), second))
        pairs.setdefault(frozenset(map(id, pair)), pair)
    kept = [one for one in pairing.baselines if stands[id(one)] is one]
    references = [stands.get(id(one), one) for one in pairing.references]
    return pairing._replace(baselines=kept, pairs=list(pairs.values()), references=references)


def _complete(one: Competitor) -> list[str]:
    """Fill in what the summary of an entrant leaves open from its items; notes where the two disagree."""
    entrant, scored = one.entrant, one.scored
    if isinstance(scored, str) or f"{scored.items.split}/{scored.items.metric}" != entrant.metric:
        return []
    means = dict(zip(scored.runs, np.nanmean(scored.scores, axis=1).tolist(), strict=True))
    if not entrant.values:
        entrant.values = list(means.values())
        settle(entrant)
    there = np.isfinite(scored.scores[0])
    if entrant.n is None:
        entrant.n = int(there.sum())
    is_sample = entrant.baseline != CHANCE and len(entrant.values) == 1 and len(scored.runs) == 1
    if is_sample and entrant.ci95 is None:
        clusters = scored.items.clusters
        kept = None if clusters is None else np.asarray(clusters)[there]
        entrant.ci95 = bootstrap_interval(scored.scores[0][there], clusters=kept)
    figures = {run.id: run.summary.get(run.metric) for run in one.views}
    return [
        f"{run}: its predictions average to {mean:.4f}, and its summary says {figure.value:.4f}: they are of "
        f"different evaluations (mend it: python -m mmdl eval run={run})"
        for run, mean in means.items()
        if not entrant.baseline
        and (figure := figures[run])
        and figure.value is not None
        and abs(figure.value - mean) > AGREES
    ]


def _of_two_metrics(first: Competitor, second: Competitor) -> Comparison:
    one, other = first.entrant, second.entrant
    refused = f"one is scored by {one.metric or 'nothing'}, the other by {other.metric or 'nothing'}"
    return Comparison(one.label, other.label, one.runs, other.runs, one.metric, "", refused=refused)


def _words(one: Competitor) -> Words:
    entrant, kind = one.entrant, "" if isinstance(one.scored, str) else one.scored.items.kind
    if entrant.baseline:
        name = f"{spoken(entrant.baseline)} baseline"
        long = f"the {name} of {one.of[0]}" if len(one.of) == 1 else f"the {name}"
        return Words(long, kind, one.of, f"its {name}")
    count, there = (
        len(entrant.runs),
        len(entrant.runs) if isinstance(one.scored, str) else len(one.scored.runs),
    )
    seeds = f"{count} seeds" if there == count else f"{there} of {count} seeds"
    return Words(f"{one.label} ({seeds})" if count > 1 else one.label, kind)


def _ordered(everyone: list[Competitor]) -> list[Entrant]:
    """The best first, metric by metric; those without a score last."""
    metrics = list(dict.fromkeys(one.entrant.metric for one in everyone))

    def place(one: Competitor) -> tuple[int, bool, float]:
        mean = one.entrant.mean
        sign = 1 if one.views[0].mode == "min" else -1
        return metrics.index(one.entrant.metric), mean is None, sign * (mean or 0.0)

    return [one.entrant for one in sorted(everyone, key=place)]


def _notes(pairing: Pairing) -> list[str]:
    notes = []
    for one in pairing.references:
        same = [other for other in pairing.main if other.entrant.metric == one.entrant.metric]
        if len(same) < 2:
            continue
        if pairing.is_asked_for:
            notes.append(f"all are compared with {one.label}, as asked for")
        elif validated(one):
            mean = abs((validated(one) or (0.0,))[0])
            notes.append(
                f"all are compared with {one.label}, the best on validation "
                f"({one.views[0].monitor} {mean:.4f}); --against NAME takes another one"
            )
        else:
            notes.append(f"all are compared with {one.label}, the first: no summary has a validation figure")
    if pairing.without_baselines:
        notes.append(
            f"baselines of {pairing.without_baselines} entrants are left out: review fewer runs to see them"
        )
    for one in pairing.main:
        codes = dict.fromkeys(code for run in one.views if (code := code_of(run)))
        if len(codes) > 1:
            notes.append(
                f"{one.label}: its runs were trained with other code ({', '.join(list(codes)[:4])}), which is not told "
                "from the seed"
            )
        lacking = len(one.views) - len(one.entrant.values)
        if lacking and one.entrant.values:
            notes.append(f"{one.label}: {lacking} of its {len(one.views)} runs have no score")
    return notes
