"""Top-k accuracy: the share of samples whose class is among the k most probable ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK_ELEMENTS = 1 << 22


def top_k_accuracy(probabilities: NDArray[np.floating[Any]], labels: NDArray[Any], k: int) -> float:
    """Share of samples whose label is among their `k` most probable classes.

    Of equally probable classes the one with the lower number comes first, as in `argmax` and in mmdl's files of
    predictions. torchmetrics leaves that to `torch.topk`, which promises no order, and bf16 logits are often equal;
    it also needs several `(N, K)` int64 arrays at once. Without ties both give the same.

    Args:
        probabilities: `(N, K)` real numbers, `N >= 1`; any increasing function of the probability will do.
        labels: `(N,)` integers in [0, K).
        k: At least 1.

    Returns:
        A share in [0, 1].

    >>> top_k_accuracy(np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]]), np.array([1, 1]), k=1)
    0.0
    >>> top_k_accuracy(np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]]), np.array([1, 1]), k=2)
    1.0
    """
    count, classes = probabilities.shape
    columns = np.arange(classes)
    hits = 0
    step = max(1, _CHUNK_ELEMENTS // classes)
    for start in range(0, count, step):
        part = probabilities[start : start + step]  # (n, K)
        wanted = labels[start : start + step, None]  # (n, 1)
        own = np.take_along_axis(part, wanted, axis=1)  # (n, 1)
        ahead = (part > own) | ((part == own) & (columns < wanted))  # (n, K)
        hits += int((ahead.sum(1) < k).sum())
    return hits / count
