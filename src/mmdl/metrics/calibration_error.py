"""Expected calibration error: how far a classifier's confidence is from its accuracy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_calibration_error


class ReliabilityBins(NamedTuple):
    """Confidence and accuracy by bins of equal width; every array is `(bins,)`.

    Attributes:
        low: Lower edge, float64; part of the bin.
        high: Upper edge, float64; part of the last bin only.
        samples: How many lie in the bin, int64.
        confidence: Mean confidence, float64 in [0, 1]; NaN in an empty bin.
        accuracy: Share that is right, float64 in [0, 1]; NaN in an empty bin.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    samples: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def calibration_error(confidence: NDArray[Any], correct: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error of the most probable class: mean over samples of |accuracy - confidence| of their bin.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3 (with bins that contain their
    lower edge). torchmetrics gives a confidence of exactly 1 a bin of its own; here it belongs to the last one.

    Args:
        confidence: `(N,)` probability of the predicted class, in [0, 1], `N >= 1`.
        correct: `(N,)` whether the prediction is right.
        bins: Number of bins of equal width.

    Returns:
        In [0, 1]; 0 is perfect.

    >>> round(calibration_error(np.array([0.9, 0.9, 0.6, 0.6]), np.array([True, True, True, False])), 6)
    0.1
    """
    error = binary_calibration_error(
        torch.from_numpy(_below_one(confidence)),
        torch.from_numpy(correct.astype(np.int64)),
        n_bins=bins,
        norm="l1",
        validate_args=False,
    )
    return float(error)


def reliability_bins(confidence: NDArray[Any], correct: NDArray[np.bool_], bins: int = 15) -> ReliabilityBins:
    """What a reliability diagram shows: the bins over which `calibration_error` is taken.

    Args:
        confidence: As for `calibration_error`.
        correct: As for `calibration_error`.
        bins: As for `calibration_error`.

    >>> found = reliability_bins(np.array([0.9, 0.6, 1.0]), np.array([True, False, True]), bins=2)
    >>> found.samples.tolist(), found.accuracy.round(3).tolist()
    ([0, 3], [nan, 0.667])
    """
    values = _below_one(confidence)
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    index = torch.bucketize(torch.from_numpy(values), edges, right=True).numpy() - 1
    count = np.bincount(index, minlength=bins)[:bins]
    with np.errstate(invalid="ignore"):
        means = [
            np.bincount(index, weights=weights, minlength=bins)[:bins] / count
            for weights in (values, correct.astype(np.float64))
        ]
    return ReliabilityBins(edges[:-1].numpy(), edges[1:].numpy(), count.astype(np.int64), *means)


def _below_one(confidence: NDArray[Any]) -> NDArray[np.float64]:
    """In float64, with 1 moved by one bit into the last bin."""
    return np.clip(confidence.astype(np.float64), 0, np.nextafter(1, 0))
