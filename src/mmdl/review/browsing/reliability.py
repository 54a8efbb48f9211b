"""How far confidence is from accuracy, in numpy: a review must not wait for torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""As in the evaluation of a run."""
_Z = 1.959963984540054


class Reliability(NamedTuple):
    """Bins of equal width over the confidence; arrays are `(bins,)`.

    Attributes:
        edges: `(bins + 1,)` float64; a bin has its lower edge, the last one both.
        samples: int64.
        confidence: Mean confidence, float64; NaN in an empty bin.
        accuracy: Mean score, float64; NaN in an empty bin.
        low: Lower end of the 95% interval of the accuracy (Wilson); NaN in an empty bin.
        high: Its upper end.
        error: Expected calibration error in [0, 1].
        n: Samples in all.
    """

    edges: NDArray[np.float64]
    samples: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    error: float
    n: int


def reliability(
    confidence: NDArray[np.float64], scores: NDArray[np.float64], bins: int = BINS
) -> Reliability:
    """The bins of a reliability diagram and the expected calibration error, as `metrics.calibration_error` has them.

    Args:
        confidence: `(N,)` probability of the answer, in [0, 1], `N >= 1`.
        scores: `(N,)` in [0, 1]: whether it is right; of VQA its soft accuracy.
        bins: Number of bins of equal width.

    >>> found = reliability(np.array([0.9, 0.9, 0.6, 0.6]), np.array([1.0, 1.0, 1.0, 0.0]))
    >>> round(found.error, 6), found.samples.sum().item()
    (0.1, 4)
    """
    values = np.clip(confidence.astype(np.float64), 0, np.nextafter(1, 0))
    edges = np.linspace(0, 1, bins + 1)
    index = np.searchsorted(edges, values, side="right") - 1
    samples = np.bincount(index, minlength=bins)[:bins]
    with np.errstate(invalid="ignore"):
        means = [np.bincount(index, weights=w, minlength=bins)[:bins] / samples for w in (values, scores)]
    mean, accuracy = means
    gaps = np.where(samples > 0, np.abs(mean - accuracy), 0.0)
    low, high = wilson(accuracy, samples)
    error = float((gaps * samples).sum() / len(values))
    return Reliability(edges, samples.astype(np.int64), mean, accuracy, low, high, error, len(values))


def wilson(
    share: NDArray[np.float64], n: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95% interval of a share (Wilson 1927); wider than need be for scores between 0 and 1. NaN where n is 0.

    >>> [round(float(end[0]), 3) for end in wilson(np.array([0.5]), np.array([10]))]
    [0.237, 0.763]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        square = _Z**2 / n
        middle = (share + square / 2) / (1 + square)
        half = _Z / (1 + square) * np.sqrt(share * (1 - share) / n + square / (4 * n))
    return np.where(n > 0, middle - half, np.nan), np.where(n > 0, middle + half, np.nan)
