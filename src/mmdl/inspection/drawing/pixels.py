"""The image itself, and heat laid over it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mmdl.inspection.drawing.picture import Picture
from mmdl.inspection.drawing.tiles import coloured, tiles

Array = npt.NDArray[Any]

SIDE = 300
"""Pixels of the page that an image is wide."""


def as_rgb(image: Array) -> Array:
    """`(1 or 3, H, W)` in [0, 255] to `(H, W, 3)` uint8."""
    colours = np.clip(np.round(image), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return colours if colours.shape[2] == 3 else colours.repeat(3, axis=2)


def image_picture(image: Array, side: int = SIDE) -> Picture:
    """The image, enlarged without smoothing, so that its pixels can be counted.

    Args:
        image: `(1 or 3, H, W)` in [0, 255].
        side: Pixels of the page.
    """
    return tiles(as_rgb(image)[None], [""], side)


def heat_picture(heat: Array, side: int = SIDE) -> Picture:
    """A map of non-negative values, dark to bright.

    Args:
        heat: `(H, W)`, at least 0.
        side: Pixels of the page.
    """
    high = float(np.quantile(heat, 0.998)) or float(heat.max()) or 1.0
    return tiles(coloured(heat, ("inferno", 0.0, high))[None], [""], side)


def overlaid(image: Array, heat: Array) -> Array:
    """Heat laid over the image in grey: where it is 0 the image stays, where it is largest only the heat is seen.

    Args:
        image: `(1 or 3, H, W)` in [0, 255].
        heat: `(H, W)`, at least 0.

    Returns:
        `(H, W, 3)` uint8.
    """
    share = heat / (heat.max() or 1.0)  # (H, W)
    grey = as_rgb(image).mean(2, keepdims=True).repeat(3, axis=2)
    hot = coloured(share, ("inferno", 0.0, 1.0)).astype(float)
    opacity = 0.85 * np.sqrt(share)[..., None]
    mixed: Array = (grey * (1 - opacity) + hot * opacity).round().astype(np.uint8)
    return mixed


def overlay_picture(image: Array, heat: Array, side: int = SIDE) -> Picture:
    """See `overlaid`."""
    return tiles(overlaid(image, heat)[None], [""], side)
