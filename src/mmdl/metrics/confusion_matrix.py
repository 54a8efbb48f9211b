"""The confusion matrix: how many samples of each class were given to each class."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_confusion_matrix

IntArray = NDArray[np.int64]


def confusion_matrix(predictions: NDArray[Any], labels: NDArray[Any], num_classes: int) -> IntArray:
    """Count the samples by label and prediction.

    Args:
        predictions: `(N,)` integers in [0, K), the class that each sample was given.
        labels: `(N,)` integers in [0, K), the class of each sample.
        num_classes: `K`; classes that don't occur keep their row and column.

    Returns:
        `(K, K)` int64 counts: the label is the row, the prediction the column; they sum to `N`.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    mode = torch.get_deterministic_debug_mode()
    # With `trainer.deterministic=true` torchmetrics compares every sample with every cell, N x K^2 numbers at once;
    # counting integers on the CPU is deterministic anyway.
    torch.set_deterministic_debug_mode(0)
    try:
        matrix = multiclass_confusion_matrix(
            torch.from_numpy(predictions.astype(np.int64)),
            torch.from_numpy(labels.astype(np.int64)),
            num_classes,
            validate_args=False,
        )
    finally:
        torch.set_deterministic_debug_mode(mode)
    return matrix.numpy().astype(np.int64)
