"""Covers a square of each image (De Vries and Taylor 2017, arXiv:1708.04552)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch

from mmdl.batch import ImageBatch
from mmdl.data.augment.crop import bordered, windows
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.fill import Fill
from mmdl.data.augment.length import check_range, pixels
from mmdl.data.augment.select import select

Cover = Literal["mean", "zeros", "noise"]


class Cutout:
    """Covers a square whose centre is anywhere in the image, so that part of it may lie outside.

    Args:
        size: Side of the square: pixels from 1 on, a share of the image's side below 1.
        fill: The mean of the training images (`mean`, as in the paper, whose images were normalised), black
            (`zeros`), or a random color for each pixel (`noise`, as in Zhong et al. 2017, arXiv:1708.04896).
        probability: Share of the images that is covered, in [0, 1].
        mean: Mean of each channel in [0, 1]; None takes the training images'.

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(
        self,
        size: float = 0.5,
        fill: Cover = "mean",
        probability: float = 1.0,
        mean: Sequence[float] | None = None,
    ) -> None:
        check_range("cutout.size", size, 0, float("inf"))
        check_range("cutout.probability", probability, 0, 1)
        self.size = size
        self.fill = Fill(fill, get_args(Cover), "cutout.fill", mean)
        self.probability = probability

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Cover a square of the images."""
        images = batch["images"]
        height, width = images.shape[-2:]
        tall, wide = pixels(self.size, height), pixels(self.size, width)
        uniform = draws.uniform(3)
        tops = (uniform[:, :1].double() * height).long() - tall // 2  # (N, 1)
        lefts = (uniform[:, 1:2].double() * width).long() - wide // 2
        down = torch.arange(height, device=images.device) - tops  # (N, H) within the square, if in [0, tall)
        right = torch.arange(width, device=images.device) - lefts
        rows = (down >= 0) & (down < tall) & (uniform[:, 2:] < self.probability)
        columns = (right >= 0) & (right < wide)
        square = rows[:, None, :, None] & columns[:, None, None, :]  # (N, 1, H, W)
        cover = self.fill.value(images)
        if self.fill.kind == "noise":
            levels = draws.bytes(images.shape[1] * tall * wide).view(len(images), -1, tall, wide)
            # The square with a border, seen through a window of the image's size: what is outside has no meaning.
            levels = bordered(levels, height, width, "zeros")
            cover = windows(levels, height - tops[:, 0], width - lefts[:, 0], height, width).to(images.dtype)
        return {**batch, "images": select(square, cover, images)}
