"""Paired permutation test of the difference of two mean scores on the same samples, over clusters if need be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from mmdl.metrics.paired_bootstrap import paired_differences

_CHUNK_ELEMENTS = 1 << 21


def paired_permutation_test(
    first: ArrayLike,
    second: ArrayLike,
    clusters: ArrayLike | None = None,
    resamples: int = 9999,
    seed: int = 0,
    most_exact: int = 1 << 18,
) -> float:
    """Two-sided p-value of the hypothesis that the two models are interchangeable on every sample.

    Under it, swapping the two scores of a sample (or of all samples of a cluster, together) changes the sign of its
    difference and nothing else. The p-value is the share of all swaps whose sum of differences is at least as far from
    0 as the observed one. Units with differences of equal size are counted, not flipped one by one: with scores of 0
    and 1 and no clusters this is McNemar's exact test at any size.

    Source: Fisher, "The Design of Experiments", 1935, section 21; Phipson and Smyth, "Permutation P-values Should Never
    Be Zero", 2010, for the one that is added in the Monte Carlo estimate.

    Args:
        first: `(N,)` scores of one model, `N >= 1`.
        second: `(N,)` scores of the other, of the same samples in the same order.
        clusters: `(N,)` cluster of each sample, integers or strings; `None`: all samples are independent.
        resamples: Number of random swaps, where there are too many to count all.
        seed: Of these; same seed, same value.
        most_exact: Up to so many distinct sums are gone through, which makes the value exact.

    Returns:
        The p-value, in (0, 1]; at least `1 / (resamples + 1)` where swaps are drawn.

    Raises:
        ValueError: If the shapes differ, there is no sample, or a score is not finite.

    >>> paired_permutation_test([1, 1, 1, 1, 0], [0, 0, 0, 0, 0])
    0.125
    """
    differences = paired_differences(first, second)
    if differences.ndim != 1 or not differences.size:
        raise ValueError(f"scores must be 1-D and not empty, not of shape {differences.shape}")
    if not np.isfinite(differences).all():
        raise ValueError(
            f"{int((~np.isfinite(differences)).sum())} of {differences.size} scores are not finite"
        )
    sums = differences if clusters is None else _cluster_sums(differences, np.asarray(clusters))
    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    if not sizes.size:
        return 1.0
    reached = abs(float(sums.sum()))  # whole numbers: no rounding, ties count
    if np.log2(counts + 1.0).sum() <= np.log2(max(1, most_exact)):
        return _exact(sizes, counts, reached)
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_ELEMENTS // sizes.size)
    as_far = 0
    for start in range(0, resamples, chunk):
        positive = rng.binomial(counts, 0.5, size=(min(chunk, resamples - start), sizes.size))  # (chunk, U)
        as_far += int((np.abs((2 * positive - counts) @ sizes) >= reached).sum())
    return (as_far + 1) / (resamples + 1)


def _cluster_sums(differences: NDArray[np.float64], clusters: NDArray[Any]) -> NDArray[np.float64]:
    if clusters.shape != differences.shape:
        raise ValueError(f"clusters has shape {clusters.shape}, but scores {differences.shape}")
    members = np.unique(clusters, return_inverse=True)[1]
    return np.bincount(members, weights=differences).astype(np.float64)


def _exact(sizes: NDArray[np.float64], counts: NDArray[np.int64], reached: float) -> float:
    """Over every number of positive signs of each size, with its binomial weight."""
    sums, logs = np.zeros(1), np.zeros(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        positive = np.arange(count + 1)
        weights = (
            gammaln(count + 1) - gammaln(positive + 1) - gammaln(count - positive + 1) - count * np.log(2)
        )
        sums = (sums[:, None] + size * (2 * positive - count)).ravel()
        logs = (logs[:, None] + weights).ravel()
    return float(min(1.0, np.exp(logs[np.abs(sums) >= reached]).sum()))
