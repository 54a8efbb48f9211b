"""The effective rank: how many dimensions embeddings really use."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK_ROWS = 1 << 16
"""Rows that are turned into float64 at a time."""


def effective_rank(embeddings: Tensor) -> float:
    """Exponential of the entropy of the singular values, taken as a distribution.

    The singular values are the roots of the eigenvalues of the Gram matrix of the shorter side, summed in float64: no
    copy of all embeddings is made.

    Source: Roy and Vetterli 2007, "The effective rank: a measure of effective dimensionality", EUSIPCO.

    Args:
        embeddings: `(N, D)` float, not all zero.

    Returns:
        A number in [1, min(N, D)]: 1 where all rows are parallel.

    >>> round(effective_rank(torch.eye(4)), 6), round(effective_rank(torch.ones(5, 3)), 4)
    (4.0, 1.0)
    """
    count, dim = embeddings.shape
    if count < dim:
        rows = embeddings.double()
        gram = rows @ rows.T  # (N, N)
    else:
        gram = torch.zeros(dim, dim, dtype=torch.float64, device=embeddings.device)
        for part in embeddings.split(CHUNK_ROWS):
            gram += part.double().T @ part.double()
    eigenvalues = torch.linalg.eigvalsh(gram)
    # below the precision of float64 there is noise, whose root would count
    singular = torch.where(eigenvalues > 1e-14 * eigenvalues[-1], eigenvalues, 0.0).sqrt()
    shares = singular / singular.sum()
    return float(torch.special.entr(shares).sum().exp())
