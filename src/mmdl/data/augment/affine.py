"""Turns, scales, slants and moves images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from mmdl.batch import ImageBatch
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.fill import Fill
from mmdl.data.augment.length import check_range
from mmdl.data.augment.warp import Outside, places, warp
from mmdl.errors import UserError


class Affine:
    """A random affine map of each image about its centre, by one bilinear interpolation for the whole batch.

    Args:
        degrees: Greatest rotation to either side.
        scale: Least and greatest factor on the size; drawn evenly on a logarithmic scale.
        shear: Greatest slant along the rows, in degrees to either side.
        translate: Greatest move in each direction, as a share of the side.
        fill: What comes in from outside: black (`zeros`), the mean of the training images (`mean`), or the nearest
            edge pixel (`edge`).
        mean: Mean of each channel in [0, 1]; None takes the training images'.

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(
        self,
        degrees: float = 10.0,
        scale: Sequence[float] = (0.9, 1.1),
        shear: float = 0.0,
        translate: float = 0.1,
        fill: Outside = "zeros",
        mean: Sequence[float] | None = None,
    ) -> None:
        check_range("affine.degrees", degrees, 0, 180)
        check_range("affine.shear", shear, 0, 80)
        check_range("affine.translate", translate, 0, 1)
        if len(scale) != 2 or not 0 < scale[0] <= scale[1]:
            raise UserError(
                f"data.augment.affine.scale={list(scale)}",
                valid="a least and a greatest factor, both positive",
                fix="data.augment.affine.scale=[0.9,1.1]",
            )
        self.degrees = degrees
        self.scale = (float(scale[0]), float(scale[1]))
        self.shear = shear
        self.translate = translate
        self.fill = Fill(fill, get_args(Outside), "affine.fill", mean)

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Draw the images anew; float in [0, 255]."""
        images = batch["images"]
        height, width = images.shape[-2:]
        uniform = draws.uniform(5).double().unbind(1)
        low, high = torch.tensor(self.scale, dtype=torch.float64).log().tolist()
        angle, slant = (
            torch.deg2rad((2 * value - 1) * limit)
            for value, limit in zip(uniform[:2], (self.degrees, self.shear), strict=True)
        )
        size = (low + (high - low) * uniform[2]).exp()
        right, down = (
            (2 * value - 1) * (self.translate * side)
            for value, side in zip(uniform[3:], (width, height), strict=True)
        )
        columns, rows = _sources(*places(images), angle, slant, size, right, down)
        return {**batch, "images": warp(images, columns, rows, self.fill)}


def _sources(
    columns: Tensor, rows: Tensor, angle: Tensor, slant: Tensor, size: Tensor, right: Tensor, down: Tensor
) -> tuple[Tensor, Tensor]:
    """Where each pixel of the result comes from: the inverse of the map, applied to all places.

    The map is `move * rotation(angle) * slant along the rows * size`, clockwise on the screen, as torchvision's
    `affine` has it. The sums are written out, since a matrix product may round otherwise in another batch.

    Args:
        columns: `(W,)` float32 seen from the centre.
        rows: `(H,)` likewise.
        angle: `(N,)` float64, radians.
        slant: `(N,)` float64, radians.
        size: `(N,)` float64.
        right: `(N,)` float64, pixels.
        down: `(N,)` float64, pixels.

    Returns:
        Columns and rows, both `(N, H, W)` float32.
    """
    cosine, sine, tangent = angle.cos(), angle.sin(), slant.tan()
    a, b = (cosine - tangent * sine) / size, (sine + tangent * cosine) / size
    c, d = -sine / size, cosine / size
    a, b, c, d, right, down = (value.float().view(-1, 1, 1) for value in (a, b, c, d, right, down))
    x, y = columns.view(1, 1, -1) - right, rows.view(1, -1, 1) - down  # (N, 1, W), (N, H, 1)
    return a * x + b * y, c * x + d * y
