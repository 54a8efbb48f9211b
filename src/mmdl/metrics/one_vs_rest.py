"""ROC-AUC and average precision of each class against all others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdl.metrics.ranking_counts import ranking_counts

FloatArray = NDArray[np.float64]

_CLASSES_AT_ONCE = 64
"""Columns that are copied to contiguous memory together."""


def one_vs_rest(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[Any]
) -> tuple[FloatArray, FloatArray]:
    """Rank-based scores of each class: the class is positive, all others are negative.

    A class without samples has neither, and a class that all samples belong to has no ROC curve: NaN. Averages leave
    them out (scikit-learn's `roc_auc_score` refuses such input).

    It is done class by class, so that no more than a few columns are kept beside the input.

    Args:
        probabilities: `(N, K)` floating, in [0, 1].
        labels: `(N,)` integers in [0, K).

    Returns:
        Area under the ROC curve and average precision, `(K,)` float64 in [0, 1] each.

    >>> auroc, average_precision = one_vs_rest(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]))
    >>> auroc.tolist(), average_precision.tolist()
    ([1.0, 1.0], [1.0, 1.0])
    """
    count, classes = probabilities.shape
    support = np.bincount(labels, minlength=classes)
    auroc, precision = np.full(classes, np.nan), np.full(classes, np.nan)
    for start in range(0, classes, _CLASSES_AT_ONCE):
        columns = np.ascontiguousarray(probabilities[:, start : start + _CLASSES_AT_ONCE].T)  # (C, N)
        for label, column in enumerate(columns, start=start):
            if support[label]:
                counts = ranking_counts(column, labels == label)
                precision[label] = counts.average_precision
                auroc[label] = counts.auroc if support[label] < count else np.nan
    return auroc, precision
