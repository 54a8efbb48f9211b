"""Puts a rectangle of another image into each image (Yun et al. 2019, arXiv:1905.04899)."""

from __future__ import annotations

import torch
from torch import Tensor

from mmdl.batch import ImageBatch
from mmdl.data.augment.beta import symmetric_beta
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.length import check_range
from mmdl.data.augment.mixing import mixed_targets, pair_draw
from mmdl.data.augment.select import select


class Cutmix:
    """A rectangle of the partner replaces that of the image; the targets are mixed by area.

    The rectangle has the image's aspect ratio and, before the part outside the image is cut off, the area
    `1 - share` with the share Beta(alpha, alpha) for each image. Partners are as for `Mixup`.

    Args:
        alpha: Of the Beta distribution; 1 is uniform, as in the paper.
        probability: Share of the pairs that is mixed, in [0, 1]; see `Mixup` for both at once.

    Raises:
        UserError: if a setting is not valid.
    """

    mixes = True

    def __init__(self, alpha: float = 1.0, probability: float = 1.0) -> None:
        check_range("cutmix.alpha", alpha, 1e-3, float("inf"))
        check_range("cutmix.probability", probability, 0, 1)
        self.alpha = alpha
        self.probability = probability

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Mix the images, in their dtype, with `targets`."""
        images = batch["images"]
        height, width = images.shape[-2:]
        side = (1 - symmetric_beta(draws, self.alpha)).sqrt().unsqueeze(1)  # (N, 1) of the image's own
        centre = draws.uniform(2)
        rows = _span(centre[:, :1], side, height)
        rows = rows & (pair_draw(draws) >= 1 - self.probability).unsqueeze(1)
        columns = _span(centre[:, 1:], side, width)
        rectangle = rows[:, None, :, None] & columns[:, None, None, :]  # (N, 1, H, W)
        area = rows.sum(1) * columns.sum(1)
        mixed = select(rectangle, images.flip(0), images)
        share = 1 - area.float() / (height * width)
        return {**batch, "images": mixed, "targets": mixed_targets(batch, share, num_classes)}


def _span(centre: Tensor, side: Tensor, length: int) -> Tensor:
    """`(N, length)` bool: which rows or columns the rectangle takes; whole pixels, as in the paper's code."""
    half = (side.double() * length).long() // 2
    middle = (centre.double() * length).long()
    place = torch.arange(length, device=centre.device)
    return (place >= middle - half) & (place < middle + half)
