"""Changes brightness, contrast and saturation."""

from __future__ import annotations

import torch
from torch import Tensor

from mmdl.batch import ImageBatch
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.length import check_range


class ColorJitter:
    """A random factor for each property of each image, in [1 - x, 1 + x]; brightness, contrast, saturation in turn.

    The three are torchvision's `adjust_*` functions on float images. Its `ColorJitter` shuffles them, which would
    take six groups of images here and changes little.

    Args:
        brightness: `x` of the factor on the pixels, in [0, 1].
        contrast: `x` of the factor on the distance from the mean grey of the image.
        saturation: `x` of the factor on the distance from the grey of the pixel; grey images have none.

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(self, brightness: float = 0.2, contrast: float = 0.2, saturation: float = 0.2) -> None:
        for name, value in (
            ("brightness", brightness),
            ("contrast", contrast),
            ("saturation", saturation),
        ):
            check_range(f"color_jitter.{name}", value, 0, 1)
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Change the colors; float in [0, 255]."""
        images = batch["images"].to(torch.float32, copy=True)
        factors = (2 * draws.uniform(3) - 1).view(-1, 3, 1, 1, 1).unbind(1)  # three of (N, 1, 1, 1)
        if self.brightness:
            images.mul_(1 + self.brightness * factors[0]).clamp_(0, 255)
        if self.contrast:
            # in float64, so that the mean does not depend on how a batch's sums are cut up
            mean = _grey(images).mean((2, 3), keepdim=True, dtype=torch.float64).float()
            _blend(images, mean, 1 + self.contrast * factors[1])
        if self.saturation and images.shape[1] == 3:
            _blend(images, _grey(images), 1 + self.saturation * factors[2])
        return {**batch, "images": images}


def _blend(images: Tensor, grey: Tensor, factor: Tensor) -> None:
    """Multiply the images' distance from a grey, in place."""
    images.sub_(grey).mul_(factor).add_(grey).clamp_(0, 255)


def _grey(images: Tensor) -> Tensor:
    """`(N, 1, H, W)` luminance (ITU-R 601-2)."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    red, green, blue = images.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue
