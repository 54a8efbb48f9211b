"""Moves images by a few pixels: a border is added, and a window of the old size cut out of it."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import pad

from mmdl.batch import ImageBatch
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.length import check_range, pixels
from mmdl.errors import UserError, nearest

Border = Literal["reflect", "zeros", "edge"]


class Crop:
    """Random translation by whole pixels, of each image on its own; the size stays.

    Args:
        padding: Greatest move in each direction: pixels from 1 on, a share of the side below 1.
        mode: What comes in at the border: the image mirrored at its edge pixels (`reflect`), black (`zeros`), or the
            edge pixels repeated (`edge`).

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(self, padding: float = 4, mode: Border = "reflect") -> None:
        check_range("crop.padding", padding, 0, float("inf"))
        if mode not in get_args(Border):
            raise UserError(
                f"data.augment.crop.mode={mode!r} is unknown", valid=nearest(mode, get_args(Border))
            )
        self.padding = padding
        self.mode = mode

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Move the images."""
        images = batch["images"]
        height, width = images.shape[-2:]
        tall, wide = pixels(self.padding, height), pixels(self.padding, width)
        if self.mode == "reflect" and (tall >= height or wide >= width):
            raise UserError(
                f"data.augment.crop.padding={self.padding} mirrors more than an image of {height} x {width} pixels",
                valid=f"less than {min(height, width)} pixels, or mode: edge or zeros",
                fix="data.augment.crop.padding=0.125",
            )
        uniform = draws.uniform(2).double()
        tops = (uniform[:, 0] * (2 * tall + 1)).long()
        lefts = (uniform[:, 1] * (2 * wide + 1)).long()
        moved = windows(bordered(images, tall, wide, self.mode), tops, lefts, height, width)
        return {**batch, "images": moved}


def bordered(images: Tensor, tall: int, wide: int, mode: Border) -> Tensor:
    """`(N, C, H, W)` images with a border: `(N, C, H + 2 tall, W + 2 wide)`, any dtype."""
    if mode == "zeros":
        return pad(images, (wide, wide, tall, tall))
    return _extended(_extended(images, 2, tall, mode), 3, wide, mode)


def _extended(images: Tensor, dim: int, border: int, mode: Border) -> Tensor:
    """Rows (`dim=2`) or columns (`dim=3`) put before and after; torch's own padding does this to floats only."""
    if not border:
        return images
    side = images.shape[dim]
    if mode == "reflect":
        before = images.narrow(dim, 1, border).flip(dim)
        after = images.narrow(dim, side - 1 - border, border).flip(dim)
    else:
        sizes = [border if axis == dim else size for axis, size in enumerate(images.shape)]
        before = images.narrow(dim, 0, 1).expand(sizes)
        after = images.narrow(dim, side - 1, 1).expand(sizes)
    return torch.cat((before, images, after), dim=dim)


def windows(images: Tensor, tops: Tensor, lefts: Tensor, height: int, width: int) -> Tensor:
    """Cut a window out of each image, row by row of pixels: 4 times as fast as indexing on the CPU (measured).

    Args:
        images: `(N, C, H, W)`, any dtype.
        tops: `(N,)` int64 first row.
        lefts: `(N,)` int64 first column.
        height: Of the windows.
        width: Of the windows.

    Returns:
        `(N, C, height, width)`.
    """
    images = images.contiguous()
    count, channels, rows, columns = images.shape
    planes = torch.arange(count * channels, device=images.device).view(count, channels, 1) * rows
    row = planes + tops.view(-1, 1, 1) + torch.arange(height, device=images.device)  # (N, C, height)
    starts = (row * columns + lefts.view(-1, 1, 1)).view(-1)
    # A view in which row i is what lies from pixel i on: overlapping, and copied for the chosen starts only.
    return images.view(-1).unfold(0, width, 1).index_select(0, starts).view(count, channels, height, width)
