"""Uniformity: how evenly embeddings are spread over the sphere, in chunks of bounded memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 22
"""Distances that are held at a time: 16 MiB in float32."""


def uniformity(embeddings: Tensor, t: float = 2.0) -> float:
    """Logarithm of the mean Gaussian potential over all pairs of different rows; lower is more even.

    Source: Wang and Isola 2020, arXiv:2005.10242, section 4.

    Args:
        embeddings: `(N, D)` float, each row of length 1, `N >= 2`.
        t: Of the potential exp(-t * squared distance).

    Returns:
        A number in [-4 t, 0]: 0 where all rows are equal, near -2 t where they are spread over many dimensions.

    >>> round(uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])), 6)
    -8.0
    """
    count = len(embeddings)
    assert count > 1, "one row has no pair"
    rows = max(1, CHUNK_ELEMENTS // count)
    total = 0.0
    for start in range(0, count, rows):
        part = embeddings[start : start + rows]
        others = embeddings[start:]  # each pair once
        squares = (2 - 2 * part @ others.T).clamp_(min=0)  # (n, N - start)
        potentials = squares.mul_(-t).exp_().triu_(1)
        total += float(potentials.sum(dtype=torch.float64))
    return math.log(total / (count * (count - 1) / 2))
