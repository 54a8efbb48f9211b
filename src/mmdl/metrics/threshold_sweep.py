"""What a binary classifier does at each decision threshold, and the threshold of the best F1."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_stat_scores

from mmdl.metrics.ranking_counts import ranking_counts

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class ThresholdSweep(NamedTuple):
    """Counts and scores of the positive class by threshold; every array is `(T,)`.

    Attributes:
        threshold: A sample counts as positive if its score is at least this, float64.
        tp: True positives, int64.
        fp: False positives, int64.
        fn: False negatives, int64.
        tn: True negatives, int64.
    """

    threshold: FloatArray
    tp: IntArray
    fp: IntArray
    fn: IntArray
    tn: IntArray

    @property
    def precision(self) -> FloatArray:
        """`tp / (tp + fp)`; 0 where nothing is predicted positive."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> FloatArray:
        """`tp / (tp + fn)`; 0 without positives."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> FloatArray:
        """`2 tp / (2 tp + fp + fn)`."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def accuracy(self) -> FloatArray:
        """`(tp + tn) / N`."""
        return _ratio(self.tp + self.tn, self.tp + self.fp + self.fn + self.tn)

    @property
    def balanced_accuracy(self) -> FloatArray:
        """Mean recall of the two classes."""
        return (self.recall + _ratio(self.tn, self.tn + self.fp)) / 2


def threshold_sweep(
    scores: NDArray[Any], positive: NDArray[np.bool_], thresholds: NDArray[Any]
) -> ThresholdSweep:
    """Apply each threshold.

    Args:
        scores: `(N,)` probability of the positive class.
        positive: `(N,)` whether a sample belongs to it.
        thresholds: `(T,)`.

    >>> sweep = threshold_sweep(np.array([0.2, 0.6, 0.9]), np.array([False, True, True]), np.array([0.5, 0.9]))
    >>> sweep.tp.tolist(), sweep.recall.tolist()
    ([2, 1], [1.0, 0.5])
    """
    values = torch.from_numpy(scores.astype(np.float64))
    target = torch.from_numpy(positive.astype(np.int64))
    # torchmetrics' own threshold is exclusive, that of its curves and of scikit-learn inclusive.
    counts = [
        binary_stat_scores((values >= threshold).long(), target, validate_args=False)
        for threshold in thresholds.tolist()
    ]
    tp, fp, tn, fn, _ = torch.stack(counts).T.numpy()
    return ThresholdSweep(thresholds.astype(np.float64), tp, fp, fn, tn)


def best_f1_threshold(scores: NDArray[Any], positive: NDArray[np.bool_]) -> float:
    """The threshold at which F1 is highest, on these samples.

    Any threshold between two neighbouring scores gives the same counts; the middle is taken, which carries over best
    to other samples. Of several best ones, the one nearest to 0.5 is taken.

    Args:
        scores: `(N,)` probability of the positive class, in [0, 1].
        positive: `(N,)` whether a sample belongs to it; some do and some don't.

    Returns:
        In [0, 1].

    >>> best_f1_threshold(np.array([0.1, 0.3, 0.7, 0.9]), np.array([False, False, True, True]))
    0.5
    """
    assert positive.any(), "F1 needs a positive sample"
    assert not positive.all(), "without a negative sample there is nothing to tell apart"
    counts = ranking_counts(scores.astype(np.float64), positive)
    tp, fp = counts.tp[1:], counts.fp[1:]
    f1 = 2 * tp / (tp + fp + positive.sum())
    middles = (counts.threshold + np.append(counts.threshold[1:], 0.0)) / 2
    best = middles[f1 == f1.max()]
    return float(best[np.abs(best - 0.5).argmin()])


def _ratio(numerator: IntArray, denominator: IntArray) -> FloatArray:
    return numerator / np.maximum(denominator, 1)
