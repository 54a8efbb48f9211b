"""Interval of the difference of two groups of runs on the same samples, over the runs' seeds and over the samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit


class RunsDifference(NamedTuple):
    """The difference of the mean scores of two groups of runs.

    Attributes:
        value: First minus second.
        low: Lower end of the interval.
        high: Upper end.
        p: Two-sided p-value of the hypothesis that it is 0.
        error_of_items: Standard error that comes from the choice of the samples.
        error_of_seeds: Standard error that comes from the choice of the seeds.
        degrees: Degrees of freedom.
    """

    value: float
    low: float
    high: float
    p: float
    error_of_items: float
    error_of_seeds: float
    degrees: float


def runs_difference(
    first: ArrayLike, second: ArrayLike, clusters: ArrayLike | None = None, level: float = 0.95
) -> RunsDifference:
    """How far two configurations differ, each trained with several seeds and scored on the same samples.

    The variance of the difference is the sum of two: of the samples (between clusters, of the mean scores over runs),
    and of the seeds (between the means of the runs of a group). The interval takes Student's t with Welch's and
    Satterthwaite's degrees of freedom, since two or three runs tell little of how much seeds vary: a bootstrap that
    draws such few runs anew is too narrow (of 3 seeds it has 2/3 of their variance). The noise of single samples that
    changes from seed to seed is in both terms, so the interval rather covers too much.

    A group of one run says nothing about seeds: the variation of the other group's stands for both.

    Source: Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    1947; Satterthwaite, 1946; Bouthillier et al., "Accounting for Variance in Machine Learning Benchmarks", 2021.

    Args:
        first: `(R1, N)` scores, one row a run.
        second: `(R2, N)`, of the same samples in the same order. One of the groups has at least two runs.
        clusters: `(N,)` cluster of each sample; `None`: all samples are independent.
        level: Coverage, in (0, 1).

    Returns:
        Difference, interval and p-value.

    Raises:
        ValueError: If shapes don't fit, scores are not finite, or no group has two runs.

    >>> found = runs_difference([[1, 1, 0, 1], [1, 1, 1, 0]], [[0, 0, 0, 1], [0, 1, 0, 0]])
    >>> round(found.value, 2), found.low < 0.5 < found.high
    (0.5, True)
    """
    one, other = (np.atleast_2d(np.asarray(side, dtype=np.float64)) for side in (first, second))
    if one.shape[1:] != other.shape[1:] or one.ndim != 2 or not one.size or not other.size:
        raise ValueError(f"first has shape {one.shape}, but second {other.shape}")
    if max(len(one), len(other)) < 2:
        raise ValueError("one of the groups must have two runs at least")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("scores must be finite")
    value = float(one.mean() - other.mean())
    items, number = _variance_of_mean(one.mean(0) - other.mean(0), clusters)
    parts = [(items, number - 1), *_seed_parts(one.mean(1), other.mean(1))]
    variance = sum(part for part, _ in parts)
    seeds = variance - items
    if variance <= 0:  # every run has the same score on every sample
        return RunsDifference(value, value, value, 0.0 if value else 1.0, 0.0, 0.0, float("inf"))
    degrees = variance**2 / sum(part**2 / free for part, free in parts if part > 0 and free > 0)
    reach = float(stdtrit(degrees, (1 + level) / 2)) * variance**0.5
    p = float(2 * stdtr(degrees, -abs(value) / variance**0.5))
    return RunsDifference(value, value - reach, value + reach, p, items**0.5, seeds**0.5, float(degrees))


def _variance_of_mean(differences: NDArray[np.float64], clusters: ArrayLike | None) -> tuple[float, int]:
    """Variance of the mean of differences between clusters, and their number."""
    members: NDArray[np.intp] = np.arange(differences.size)
    if clusters is not None:
        members = np.unique(np.asarray(clusters), return_inverse=True)[1]
        if members.shape != differences.shape:
            raise ValueError(f"clusters has shape {members.shape}, but there are {differences.size} samples")
    residuals = np.bincount(members, weights=differences - differences.mean())
    number = residuals.size
    if number < 2:
        return 0.0, number
    return float((residuals**2).sum() / differences.size**2 * number / (number - 1)), number


def _seed_parts(one: NDArray[np.float64], other: NDArray[np.float64]) -> list[tuple[float, int]]:
    """Variance of the mean over runs of each group, with its degrees of freedom."""
    if min(len(one), len(other)) < 2:
        many = one if len(one) > 1 else other
        return [(float(many.var(ddof=1)) * (1 / len(one) + 1 / len(other)), len(many) - 1)]
    return [(float(side.var(ddof=1)) / len(side), len(side) - 1) for side in (one, other)]
