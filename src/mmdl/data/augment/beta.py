"""Beta-distributed numbers from uniform ones, in closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mmdl.data.augment.draws import Draws


def symmetric_beta(draws: Draws, alpha: float) -> Tensor:
    """`(N,)` float32 in [0, 1], distributed as Beta(alpha, alpha), from two draws a sample.

    A polar method: with `U`, `V` uniform, `sqrt(2 alpha (U^(-1/alpha) - 1)) cos(2 pi V)` has Student's t distribution
    with `2 alpha` degrees of freedom (Bailey 1994, Mathematics of Computation 62), and `t / sqrt(2 alpha + t^2)` is
    Beta(alpha, alpha) on [-1, 1]. Nothing is rejected, so each sample takes the same number of draws.

    Args:
        draws: Random numbers of the samples.
        alpha: Positive.
    """
    uniform = draws.uniform(2).double()
    power = (1 - uniform[:, 0]) ** (1 / alpha)
    cosine = torch.cos(2 * math.pi * uniform[:, 1])
    # 1 / (U^(-1/alpha) - 1), which is 0 where a small alpha takes the power below the least number
    inverse = power / (1 - power).clamp(min=torch.finfo(torch.float64).tiny)
    return (0.5 + 0.5 * cosine / (inverse + cosine**2).sqrt()).clamp(0, 1).float()
