"""Per-class counts and scores of a classifier, from its confusion matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class ClassScores(NamedTuple):
    """Counts and scores of each class, "the class" against "all others"; every array is `(K,)`.

    Attributes:
        support: Samples of the class, int64.
        tp: True positives: samples of the class that were given to it, int64.
        fp: False positives: samples of others that were given to it, int64.
        fn: False negatives: samples of the class that were given to others, int64.
        tn: True negatives: the rest, int64.
        precision: `tp / (tp + fp)`, float64 in [0, 1].
        recall: `tp / (tp + fn)`, float64 in [0, 1].
        f1: `2 tp / (2 tp + fp + fn)`, float64 in [0, 1].
    """

    support: IntArray
    tp: IntArray
    fp: IntArray
    fn: IntArray
    tn: IntArray
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray

    @property
    def occurs(self) -> NDArray[np.bool_]:
        """`(K,)`: the class is among the labels or among the predictions."""
        return self.tp + self.fp + self.fn > 0

    def macro(self, scores: FloatArray) -> float:
        """Mean over the classes that occur among labels or predictions, as scikit-learn takes it by default."""
        return float(scores[self.occurs].mean())


def class_scores(confusion: IntArray) -> ClassScores:
    """Counts and scores of each class.

    A score whose denominator is 0 is 0, as in scikit-learn with `zero_division=0`: the recall of a class without
    samples, the precision of a class that was never predicted.

    The ratios are taken in float64: torchmetrics' own functions give float32, in which 0.9931 becomes 0.99309998.

    Args:
        confusion: `(K, K)` int64, the label is the row; see `confusion_matrix`.

    >>> scores = class_scores(np.array([[3, 1], [0, 4]]))
    >>> scores.tp.tolist(), scores.fp.tolist(), scores.recall.tolist()
    ([3, 4], [0, 1], [0.75, 1.0])
    """
    tp = np.diagonal(confusion).copy()
    fp = confusion.sum(0) - tp
    support = confusion.sum(1)
    fn = support - tp
    tn = confusion.sum() - tp - fp - fn
    return ClassScores(
        support, tp, fp, fn, tn, _ratio(tp, tp + fp), _ratio(tp, support), _ratio(2 * tp, 2 * tp + fp + fn)
    )


def _ratio(numerator: IntArray, denominator: IntArray) -> FloatArray:
    return numerator / np.maximum(denominator, 1)
