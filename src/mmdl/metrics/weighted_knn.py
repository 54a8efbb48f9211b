"""Classification by the nearest neighbours, weighted by their similarity, in chunks of bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 24
"""Similarities that are held at a time: 64 MiB in float32."""


def weighted_knn(
    queries: Tensor,
    bank: Tensor,
    bank_labels: Tensor,
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
) -> Tensor:
    """Votes of the `k` most similar rows of a bank, each weighted by exp(similarity / temperature).

    Source: Wu et al. 2018, arXiv:1805.01978, section 3.4, with the settings of DINO (Caron et al. 2021,
    arXiv:2104.14294).

    Args:
        queries: `(Q, D)` float, each row of length 1.
        bank: `(N, D)` float, likewise, `N >= 1`.
        bank_labels: `(N,)` int64 in [0, K).
        num_classes: `K`.
        k: Neighbours; above `N` it is as `N`.
        temperature: Of the weights, above 0.

    Returns:
        `(Q, K)` float: share of each class in the vote, each row sums to 1.

    >>> bank = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> weighted_knn(bank[:1], bank, torch.tensor([0, 1, 1]), 2, k=1).tolist()
    [[1.0, 0.0]]
    """
    size = max(1, CHUNK_ELEMENTS // len(bank))
    parts = []
    for part in queries.split(size):
        near, rows = (part @ bank.T).topk(min(k, len(bank)), dim=1)  # (n, k) each
        weights = torch.softmax(near / temperature, 1)  # the same shares, and exp can't overflow
        votes = weights.new_zeros(len(part), num_classes)
        parts.append(votes.scatter_add_(1, bank_labels[rows], weights))
    return torch.cat(parts)
