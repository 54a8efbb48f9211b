"""Draws images anew from other places of themselves."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from mmdl.data.augment.fill import Fill

Outside = Literal["zeros", "mean", "edge"]
"""What a place outside the image shows: black, the mean of the training images, or the nearest edge pixel."""


def places(images: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of the pixels, seen from the centre of the image: columns `(W,)` and rows `(H,)`, float32."""
    height, width = images.shape[-2:]
    columns = torch.arange(width, device=images.device, dtype=torch.float32) - (width - 1) / 2
    rows = torch.arange(height, device=images.device, dtype=torch.float32) - (height - 1) / 2
    return columns, rows


def warp(images: Tensor, columns: Tensor, rows: Tensor, fill: Fill) -> Tensor:
    """Each pixel of the result shows the image at another place, by bilinear interpolation.

    Args:
        images: `(N, C, H, W)` uint8 or float in [0, 255].
        columns: `(N, H, W)` float32: column that each pixel shows, seen from the centre of the image.
        rows: `(N, H, W)` float32: its row.
        fill: Its kind is one of `Outside`.

    Returns:
        `(N, C, H, W)` float32 in [0, 255].
    """
    height, width = images.shape[-2:]
    images = images.float()
    grid = torch.empty(len(images), height, width, 2, device=images.device)  # from -1 to 1
    torch.mul(columns, 2 / width, out=grid[..., 0])
    torch.mul(rows, 2 / height, out=grid[..., 1])
    if fill.kind == "edge":
        drawn = grid_sample(images, grid, padding_mode="border", align_corners=False)
    elif fill.kind == "mean":
        color = fill.value(images)
        drawn = grid_sample(images - color, grid, align_corners=False) + color
    else:
        drawn = grid_sample(images, grid, align_corners=False)
    return drawn.clamp_(0, 255)
