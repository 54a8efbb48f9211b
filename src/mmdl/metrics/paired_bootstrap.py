"""Bootstrap confidence interval of the difference of two mean scores on the same samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmdl.metrics.bootstrap import bootstrap_interval

PER_UNIT = 1e9
"""Differences are whole multiples of a billionth: `0.9 - 0.6` and `0.6 - 0.3` are then equal, and so are their sums."""


def paired_bootstrap_interval(
    first: ArrayLike,
    second: ArrayLike,
    resamples: int = 5000,
    level: float = 0.95,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `mean(first) - mean(second)`, where both score the same samples.

    A resample draws samples, and with each its two scores: what makes a sample easy for both drops out. On the same
    samples the difference of the means is the mean of the differences, so this is the bootstrap of one mean. With
    `clusters`, whole clusters are drawn together. The cost depends on the number of distinct differences only.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; Koehn, "Statistical Significance
    Tests for Machine Translation Evaluation", 2004, section 5, for its use on the test set of two systems.

    Args:
        first: `(N,)` scores of one model, `N >= 1`.
        second: `(N,)` scores of the other, of the same samples in the same order.
        resamples: Number of resamples.
        level: Coverage of the interval, in (0, 1).
        seed: Same seed, same interval.
        clusters: `(N,)` cluster of each sample, integers or strings; `None`: all samples are independent.

    Returns:
        Lower and upper end, in the unit of the scores.

    Raises:
        ValueError: If the scores differ in shape, or as `bootstrap_interval` does.

    >>> low, high = paired_bootstrap_interval([1.0] * 90 + [0.0] * 10, [1.0] * 80 + [0.0] * 20)
    >>> round(low, 2), round(high, 2)
    (0.05, 0.16)
    """
    low, high = bootstrap_interval(paired_differences(first, second), resamples, level, seed, clusters)
    return low / PER_UNIT, high / PER_UNIT


def paired_differences(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """`first - second` of each sample in billionths, `(N,)` whole numbers as float64, so that sums are exact.

    Raises:
        ValueError: If the scores differ in shape.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape:
        raise ValueError(f"first has shape {one.shape}, but second {other.shape}")
    return np.rint((one - other) * PER_UNIT)
