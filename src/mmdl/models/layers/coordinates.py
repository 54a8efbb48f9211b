"""Coordinate channels, which tell a convolution where it is."""

from __future__ import annotations

import torch
from torch import Tensor


def append_coordinates(grid: Tensor) -> Tensor:
    """Append the x and y coordinate of each cell as two channels.

    Source: CoordConv, Liu et al. 2018, arXiv:1807.03247.

    Args:
        grid: `(N, C, h, w)` float.

    Returns:
        `(N, C + 2, h, w)` float of the same dtype; x then y, in [-1, 1], left to right and top to bottom.

    >>> append_coordinates(torch.zeros(1, 1, 2, 3))[0, 1].tolist()
    [[-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]
    """
    count, _, height, width = grid.shape
    x = torch.linspace(-1, 1, width, device=grid.device, dtype=grid.dtype)
    y = torch.linspace(-1, 1, height, device=grid.device, dtype=grid.dtype)
    return torch.cat(
        [grid, x.expand(count, 1, height, width), y.view(-1, 1).expand(count, 1, height, width)], dim=1
    )
