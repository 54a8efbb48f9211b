"""The positives of each row, without a matrix of all pairs."""

from __future__ import annotations

import torch
from torch import Tensor


def positive_sums(columns: Tensor, column_ids: Tensor, row_ids: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the columns that have a row's id, for each row: memory grows with rows and columns only.

    Args:
        columns: `(M, D)` float.
        column_ids: `(M,)` int64.
        row_ids: `(N,)` int64.

    Returns:
        `(N, D)` sums, with gradients, and `(N,)` int64: how many columns each sums; 0 for an id that no column has.

    >>> sums, counts = positive_sums(torch.eye(3), torch.tensor([7, 4, 7]), torch.tensor([4, 7, 5]))
    >>> sums.tolist(), counts.tolist()
    ([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]], [1, 2, 0])
    """
    # The place of an id in the sorted list names it; `unique` would wait for the device to say how many there are.
    order = column_ids.sort().values
    place = torch.searchsorted(order, column_ids)  # (M,)
    first = torch.searchsorted(order, row_ids)  # (N,)
    counts = torch.searchsorted(order, row_ids, right=True) - first
    first = first.clamp(max=len(order) - 1)
    sums = torch.zeros_like(columns).index_add_(0, place, columns).index_select(0, first)  # (N, D)
    return sums.mul_((counts > 0)[:, None]), counts
