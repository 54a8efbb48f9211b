"""True and false positives at every threshold: what ROC and precision-recall curves are made of."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_roc

FloatArray = NDArray[np.float64]

_MOST = 1 << 23


class RankingCounts(NamedTuple):
    """Counts while the threshold falls, `T` distinct scores; a sample is positive if its score is at least that.

    Attributes:
        threshold: `(T,)` the distinct scores, descending.
        tp: `(T + 1,)` float64 whole numbers: true positives, from 0 above all scores to all positives.
        fp: `(T + 1,)` float64 whole numbers: false positives, likewise.
    """

    threshold: NDArray[Any]
    tp: FloatArray
    fp: FloatArray

    @property
    def recall(self) -> FloatArray:
        """`(T + 1,)` true positive rate, ascending from 0 to 1; NaN without positives."""
        with np.errstate(invalid="ignore"):
            return self.tp / self.tp[-1]

    @property
    def false_positive_rate(self) -> FloatArray:
        """`(T + 1,)` ascending from 0 to 1; NaN without negatives."""
        with np.errstate(invalid="ignore"):
            return self.fp / self.fp[-1]

    @property
    def precision(self) -> FloatArray:
        """`(T + 1,)`; 1 at the start, where nothing is predicted."""
        predicted = self.tp + self.fp
        return np.where(predicted > 0, self.tp / np.maximum(predicted, 1), 1.0)

    @property
    def auroc(self) -> float:
        """Area under the ROC curve by trapezoids: ties count half; NaN without positives or negatives."""
        return float(np.trapezoid(self.recall, self.false_positive_rate))

    @property
    def average_precision(self) -> float:
        """Sum of the precisions, each weighted with the recall that is won to reach it; NaN without positives."""
        return float(np.sum(np.diff(self.recall) * self.precision[1:]))


def ranking_counts(scores: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> RankingCounts:
    """Count at every threshold, by torchmetrics' ROC curve.

    The curve's float32 rates are turned back into whole samples, so that all that follows is exact in float64
    (torchmetrics' own areas are good to six digits), and both areas come from one sort.

    Args:
        scores: `(N,)` in [0, 1], `1 <= N < 2^23`; what rounding has put outside is moved to the ends.
        positive: `(N,)` whether a sample belongs to the positive class.

    >>> counts = ranking_counts(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    >>> counts.tp.tolist(), counts.fp.tolist(), counts.auroc
    ([0.0, 1.0, 2.0, 2.0], [0.0, 0.0, 1.0, 2.0], 0.875)
    """
    assert len(scores) < _MOST, "float32 rates can't be turned back into whole samples"
    # torchmetrics would take numbers outside of [0, 1] for logits, and a sum of a softmax can round to more than 1.
    values = torch.from_numpy(np.ascontiguousarray(scores)).clamp(0, 1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"No (positive|negative) samples in targets")
        fpr, tpr, threshold = binary_roc(
            values, torch.from_numpy(positive.astype(np.int64)), validate_args=False
        )
    total = int(positive.sum())
    tp = (tpr.double() * total).round().numpy()
    fp = (fpr.double() * (len(positive) - total)).round().numpy()
    return RankingCounts(threshold[1:].numpy(), tp, fp)
