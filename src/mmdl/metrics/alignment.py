"""Alignment: how near the two sides of a positive pair lie."""

from __future__ import annotations

import torch
from torch import Tensor


def alignment(first: Tensor, second: Tensor, alpha: float = 2.0) -> float:
    """Mean of the distance between the two sides of a pair, to the power of `alpha`; lower is better.

    Source: Wang and Isola 2020, "Understanding Contrastive Representation Learning through Alignment and Uniformity on
    the Hypersphere", arXiv:2005.10242, section 4.

    Args:
        first: `(P, D)` float, each row of length 1, `P >= 1`.
        second: `(P, D)`: row by row the other side.
        alpha: Power of the distance.

    Returns:
        For `alpha` = 2 a number in [0, 4]: 2 minus twice the mean cosine similarity.

    >>> alignment(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    1.0
    """
    squares = torch.square(first - second).sum(1).double()  # (P,)
    return float(squares.pow(alpha / 2).mean())
