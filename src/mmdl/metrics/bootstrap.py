"""Bootstrap confidence interval of a mean score, optionally over clusters of dependent samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CHUNK_ELEMENTS = 1 << 22


def bootstrap_interval(
    scores: ArrayLike,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `scores`.

    Samples that depend on each other (the questions of one image) make the plain interval too narrow. With
    `clusters`, whole clusters are drawn, and a resample's mean is its sum over its number of samples.

    Instead of N units, a resample draws how often each distinct unit occurs (one multinomial): the same
    distribution, at a cost that depends on the number of distinct scores only. It is done in chunks of about
    64 MiB.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Args:
        scores: `(N,)` real numbers, `N >= 1`.
        resamples: Number of resamples.
        level: Coverage of the interval, in (0, 1).
        seed: Same seed, same interval.
        clusters: `(N,)` cluster of each sample, integers or strings; `None`: all samples are independent.

    Returns:
        Lower and upper end, in the unit of `scores`. Both equal the mean if there is one unit.

    Raises:
        ValueError: If the arguments are out of range, or `scores` is empty, not 1-D or not finite.

    >>> low, high = bootstrap_interval([1.0] * 80 + [0.0] * 20)
    >>> round(low, 2), round(high, 2)
    (0.72, 0.88)
    """
    values = np.asarray(scores, dtype=np.float64)
    _check(values, resamples, level)
    units, repeats = _distinct_units(values, None if clusters is None else np.asarray(clusters))
    rng = np.random.default_rng(seed)
    total = int(repeats.sum())
    chunk = max(1, _CHUNK_ELEMENTS // len(units))
    means = []
    for start in range(0, resamples, chunk):
        drawn = rng.multinomial(total, repeats / total, size=min(chunk, resamples - start))  # (chunk, U)
        sums, counts = (drawn @ units).T  # (chunk,) each
        means.append(sums / counts)
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check(values: NDArray[np.float64], resamples: int, level: float) -> None:
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"scores must be 1-D and not empty, not of shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of {values.size} scores are not finite")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), not {level}")


def _distinct_units(
    values: NDArray[np.float64], clusters: NDArray[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distinct (sum, size) of the units that are drawn, `(U, 2)`, and how often each occurs, `(U,)`."""
    members: NDArray[np.intp] = np.arange(values.size)
    if clusters is not None:
        if clusters.shape != values.shape:
            raise ValueError(f"clusters has shape {clusters.shape}, but scores {values.shape}")
        members = np.unique(clusters, return_inverse=True)[1]
    pairs = np.empty((int(members.max()) + 1, 2))
    pairs[:, 0] = np.bincount(members, weights=values)
    pairs[:, 1] = np.bincount(members)
    units, repeats = np.unique(pairs, axis=0, return_counts=True)
    return units, repeats.astype(np.int64)
