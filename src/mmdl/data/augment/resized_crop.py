"""Cuts a random part out of each image and brings it to one size (Szegedy et al. 2015), as ImageNet recipes do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmdl.batch import ImageBatch
from mmdl.data.augment.draws import Draws
from mmdl.errors import UserError

ATTEMPTS = 10
"""Boxes that are drawn for each image; the first that fits into it is taken, as in torchvision."""


LARGE = 96
"""Side in pixels from which the products take longer than a call for every image."""


class ResizedCrop:
    """A box of random area and aspect ratio, resized to a square.

    Resizing is bilinear with antialiasing: a large box that becomes small is averaged and not skipped over, which
    sampling by a grid would do, and images are evaluated with antialiasing too. It is done for the whole batch by two
    products with matrices of the filter's weights; on a CPU, for bytes of `LARGE` pixels or more, image by image in
    torch's own kernel for bytes, which takes a tenth of the time and rounds to whole levels.

    Args:
        size: Height and width that images are brought to, in pixels; None keeps the batch's. With another size than
            the data's, the model must take images of any size.
        scale: Least and greatest area of the box, as a share of the image's.
        ratio: Least and greatest aspect ratio (width to height); drawn evenly on a logarithmic scale.

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(
        self,
        size: int | None = None,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
    ) -> None:
        if size is not None and size < 1:
            raise UserError(f"data.augment.resized_crop.size={size}", valid="pixels, or null")
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
            raise UserError(
                f"data.augment.resized_crop.scale={list(scale)}",
                valid="a least and a greatest share in (0, 1]",
                fix="data.augment.resized_crop.scale=[0.08,1.0]",
            )
        if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
            raise UserError(
                f"data.augment.resized_crop.ratio={list(ratio)}",
                valid="a least and a greatest ratio, both positive",
                fix="data.augment.resized_crop.ratio=[0.75,1.33]",
            )
        self.size = size
        self.scale = (float(scale[0]), float(scale[1]))
        self.ratio = (float(ratio[0]), float(ratio[1]))

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Cut and resize; float in [0, 255], or bytes."""
        images = batch["images"]
        height, width = images.shape[-2:]
        top, left, tall, wide = self.boxes(draws, height, width)
        if images.device.type == "cpu" and images.dtype == torch.uint8 and min(height, width) >= LARGE:
            boxes = torch.stack([top, left, tall, wide], dim=1)
            size = (self.size or height, self.size or width)
            return {**batch, "images": _one_by_one(images, boxes, size)}
        down = resizing(top, tall, height, self.size or height)
        across = resizing(left, wide, width, self.size or width)
        return {**batch, "images": _product(down, images.float(), across)}

    def boxes(self, draws: Draws, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Top, left, height and width of each image's box: `(N,)` int64 pixels."""
        uniform = draws.uniform(2 * ATTEMPTS + 2).double()
        area, ratio, place = uniform.split((ATTEMPTS, ATTEMPTS, 2), dim=1)
        area = (self.scale[0] + (self.scale[1] - self.scale[0]) * area) * (height * width)
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = (low + (high - low) * ratio).exp()
        wide, tall = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
        fits = (wide > 0) & (wide <= width) & (tall > 0) & (tall <= height)  # (N, ATTEMPTS)
        first = fits.int().argmax(1, keepdim=True)
        # Without one that fits: the largest centred box whose ratio is allowed.
        full = min(max(width / height, self.ratio[0]), self.ratio[1])
        largest = (min(width, round(height * full)), min(height, round(width / full)))
        found = fits.any(1)
        wide = wide.gather(1, first)[:, 0].where(found, torch.full_like(first[:, 0], largest[0]))
        tall = tall.gather(1, first)[:, 0].where(found, torch.full_like(first[:, 0], largest[1]))
        free_down, free_right = height - tall, width - wide
        top = (place[:, 0] * (free_down + 1)).long().where(found, free_down // 2)
        left = (place[:, 1] * (free_right + 1)).long().where(found, free_right // 2)
        return top, left, tall, wide


def resizing(first: Tensor, length: Tensor, side: int, size: int) -> Tensor:
    """Weights that resize a part of a side, as torch's `interpolate(mode="bilinear", antialias=True)` has them.

    Args:
        first: `(N,)` int64 first pixel of the part.
        length: `(N,)` int64 pixels of it.
        side: Pixels of the side.
        size: Pixels of the result.

    Returns:
        `(N, size, side)` float32; each row sums up to 1 and is 0 outside the part.
    """
    scale = (length.float() / size).view(-1, 1, 1)
    reach = scale.clamp(min=1)
    place = torch.arange(side, device=first.device).view(1, 1, -1) - first.view(-1, 1, 1)  # (N, 1, side)
    centre = scale * (torch.arange(size, device=first.device).view(1, -1, 1) + 0.5)  # (N, size, 1)
    weights = (1 - (place + 0.5 - centre).abs() / reach).clamp(min=0)
    weights = weights * ((place >= 0) & (place < length.view(-1, 1, 1)))
    return weights / weights.sum(2, keepdim=True)


def _one_by_one(images: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The parts of `(N, C, H, W)` uint8 images in `(N, 4)` boxes, resized to `(N, C, *size)` uint8."""
    drawn = images.new_empty((*images.shape[:2], *size))
    for image, (top, left, tall, wide), target in zip(images, boxes.tolist(), drawn, strict=True):
        part = image[None, :, top : top + tall, left : left + wide]
        target.copy_(nn.functional.interpolate(part, size, mode="bilinear", antialias=True)[0])
    return drawn


def _product(down: Tensor, images: Tensor, across: Tensor) -> Tensor:
    """`down @ images @ across^T` for each channel; as two plain batched products, 5 times as fast as a broadcast."""
    count, channels, height, width = images.shape
    tall, wide = down.shape[1], across.shape[1]
    rows = images.reshape(count, channels * height, width).bmm(across.transpose(1, 2))
    columns = rows.view(count, channels, height, wide).transpose(1, 2).reshape(count, height, channels * wide)
    drawn = down.bmm(columns).view(count, tall, channels, wide)
    return drawn.transpose(1, 2).contiguous().clamp_(0, 255)
