"""Bends images by a smooth random field, as hands bend digits (Simard, Steinkraus and Platt 2003)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from mmdl.batch import ImageBatch
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.fill import Fill
from mmdl.data.augment.length import check_range
from mmdl.data.augment.warp import Outside, places, warp

REACH = 4.0
"""The Gaussian ends after so many standard deviations."""

NOISE = 255
KERNEL = 2**14
SMOOTHED = 2**10
"""Noise, Gaussian and once-smoothed noise are whole numbers up to these: their products sum up to at most 2^24, which
float32 holds exactly. So an image is bent alike in every batch, though the order in which a matrix product sums up
depends on the size of the batch."""


class Elastic:
    """Moves each pixel by a random vector; the vectors are uniform noise, smoothed by a Gaussian and scaled.

    Args:
        alpha: Scale of the displacements in pixels, before smoothing makes them smaller. 34 is the paper's, for 28 x 28
            pixels and `sigma` 4: moves of 1.4 pixels (standard deviation).
        sigma: Standard deviation of the Gaussian in pixels: small values crumple, large ones move as a whole.
        probability: Share of the images that is bent, in [0, 1].
        fill: What comes in from outside: `zeros`, `mean` or `edge`, as for `Affine`.
        mean: Mean of each channel in [0, 1]; None takes the training images'.

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(
        self,
        alpha: float = 34.0,
        sigma: float = 4.0,
        probability: float = 1.0,
        fill: Outside = "zeros",
        mean: Sequence[float] | None = None,
    ) -> None:
        check_range("elastic.alpha", alpha, 0, float("inf"))
        check_range("elastic.sigma", sigma, 0.1, float("inf"))
        check_range("elastic.probability", probability, 0, 1)
        self.alpha = alpha
        self.sigma = sigma
        self.probability = probability
        self.fill = Fill(fill, get_args(Outside), "elastic.fill", mean)
        self._made: dict[tuple[int, torch.device], Tensor] = {}

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Bend the images; float in [0, 255]."""
        images = batch["images"]
        height, width = images.shape[-2:]
        bent = draws.uniform(1).view(-1, 1, 1, 1) < self.probability
        levels = draws.bytes(2 * height * width).view(-1, 2, height, width)
        noise = levels.float().mul_(2).sub_(NOISE)  # evenly spread over [-NOISE, NOISE]
        down, across = (self._smoother(side, images.device) for side in (height, width))
        # The matrices are symmetric, so both smooth as they stand.
        half = (noise @ across).mul_(SMOOTHED / (NOISE * KERNEL)).round_()
        moves = (down @ half).mul_(self.alpha / (SMOOTHED * KERNEL) * bent)  # (N, 2, H, W) pixels
        columns, rows = places(images)
        moved = warp(
            images, columns.view(1, 1, -1) + moves[:, 0], rows.view(1, -1, 1) + moves[:, 1], self.fill
        )
        return {**batch, "images": moved}

    def _smoother(self, side: int, device: torch.device) -> Tensor:
        """`(side, side)` matrix that smooths along one dimension, times `KERNEL`; beyond the border the noise is 0."""
        if (side, device) not in self._made:
            place = torch.arange(side, dtype=torch.float64)
            distance = (place.unsqueeze(0) - place.unsqueeze(1)).abs()
            reach = int(REACH * self.sigma + 0.5)
            steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
            total = torch.exp(-0.5 * (steps / self.sigma) ** 2).sum()
            kernel = torch.exp(-0.5 * (distance / self.sigma) ** 2) / total * (distance <= reach)
            self._made[side, device] = (kernel * KERNEL).round().float().to(device)
        return self._made[side, device]


def spread(alpha: float, sigma: float) -> float:
    """Standard deviation of the displacements in pixels, far from the border.

    >>> round(spread(34, 4), 2)
    1.38
    """
    return alpha / math.sqrt(3) / (2 * sigma * math.sqrt(math.pi))
