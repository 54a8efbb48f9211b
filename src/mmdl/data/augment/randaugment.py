"""RandAugment (Cubuk et al. 2020, arXiv:1909.13719): a few random operations of one strength on each image."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from mmdl.batch import ImageBatch
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.length import check_range

BINS = 31
"""Magnitudes are 0 to 30, as in the paper."""


class Operation(NamedTuple):
    """One operation.

    Attributes:
        apply: Takes `(N, C, H, W)` uint8 images and a strength.
        weakest: Strength at magnitude 0.
        strongest: Strength at the greatest magnitude; in a line between them.
        signed: Whether the strength is turned round for half of the images.
        side: Dimension of the images by whose length the strengths are multiplied; None for none.
    """

    apply: Callable[[Tensor, float], Tensor]
    weakest: float = 0.0
    strongest: float = 0.0
    signed: bool = False
    side: int | None = None

    def strength(self, magnitude: int, images: Tensor) -> float:
        """The strength at a magnitude in [0, 30]."""
        unit = 1 if self.side is None else images.shape[self.side]
        return float(torch.linspace(self.weakest * unit, self.strongest * unit, BINS)[magnitude])


def _shear(images: Tensor, x: float, y: float) -> Tensor:
    shear = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    return functional.affine(images, 0.0, [0, 0], 1.0, shear, center=[0.0, 0.0])


def _move(images: Tensor, x: float, y: float) -> Tensor:
    return functional.affine(images, 0.0, [int(x), int(y)], 1.0, [0.0, 0.0])


OPERATIONS = {
    "identity": Operation(lambda images, _: images),
    "shear_x": Operation(lambda images, x: _shear(images, x, 0), 0, 0.3, signed=True),
    "shear_y": Operation(lambda images, y: _shear(images, 0, y), 0, 0.3, signed=True),
    "translate_x": Operation(lambda images, x: _move(images, x, 0), 0, 150 / 331, signed=True, side=3),
    "translate_y": Operation(lambda images, y: _move(images, 0, y), 0, 150 / 331, signed=True, side=2),
    "rotate": Operation(functional.rotate, 0, 30, signed=True),
    "brightness": Operation(lambda i, x: functional.adjust_brightness(i, 1 + x), 0, 0.9, signed=True),
    "color": Operation(lambda i, x: functional.adjust_saturation(i, 1 + x), 0, 0.9, signed=True),
    "contrast": Operation(lambda i, x: functional.adjust_contrast(i, 1 + x), 0, 0.9, signed=True),
    "sharpness": Operation(lambda i, x: functional.adjust_sharpness(i, 1 + x), 0, 0.9, signed=True),
    "posterize": Operation(lambda images, bits: functional.posterize(images, round(bits)), 8, 4),
    "solarize": Operation(functional.solarize, 255, 0),
    "auto_contrast": Operation(lambda images, _: functional.autocontrast(images)),
    "equalize": Operation(lambda images, _: functional.equalize(images)),
}
"""The operations and ranges of torchvision's `RandAugment`."""


class RandAugment:
    """Applies `num_ops` operations to each image, drawn anew for each image and each time.

    Images that drew the same operation are changed together, so a batch takes at most 23 calls a round, whatever its
    size. Their grouping needs the draws on the host: on an accelerator that is one wait a round.

    Args:
        num_ops: Operations for each image.
        magnitude: Strength of all operations, in [0, 30].

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(self, num_ops: int = 2, magnitude: int = 9) -> None:
        check_range("randaugment.num_ops", num_ops, 0, float("inf"))
        check_range("randaugment.magnitude", magnitude, 0, BINS - 1)
        self.num_ops = num_ops
        self.magnitude = magnitude

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Change the images; uint8. Float images are rounded first, since the operations count bits and levels."""
        images = batch["images"]
        if images.is_floating_point():
            images = images.round().clamp(0, 255).to(torch.uint8)
        for _ in range(self.num_ops):
            images = self._round(images, draws)
        return {**batch, "images": images}

    def _round(self, images: Tensor, draws: Draws) -> Tensor:
        """One operation on each image."""
        operations = list(OPERATIONS.values())
        which, turn = draws.uniform(2).double().cpu().unbind(1)
        number = (which * len(operations)).long()
        signed = torch.tensor([operation.signed for operation in operations])[number]
        code = 2 * number + (signed & (turn < 0.5))  # an odd code turns the strength round
        order = code.argsort().to(images.device, non_blocking=True)
        present, counts = code.unique(return_counts=True)
        parts = []
        groups = images[order].split(counts.tolist())
        for which_one, group in zip(present.tolist(), groups, strict=True):
            operation = operations[which_one // 2]
            strength = operation.strength(self.magnitude, group)
            parts.append(operation.apply(group, -strength if which_one % 2 else strength))
        return torch.empty_like(images).index_copy_(0, order, torch.cat(parts))
