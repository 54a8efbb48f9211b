"""Small versions of images, in their own proportions."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

if TYPE_CHECKING:
    from mmdl.data.transforms.image import Source

Array = npt.NDArray[Any]

SIDE = 320
"""Pixels of the longer side: sharp at 160 pixels on a dense screen."""


def thumbnail(source: Source, side: int = SIDE) -> Array | None:
    """An image with its longer side brought to `side` pixels at most; smaller ones stay as they are.

    Args:
        source: The file, or what it holds.
        side: Pixels.

    Returns:
        `(H, W, 3)` uint8, or None where the file is gone or can't be decoded any more.
    """
    from mmdl.data.transforms.image import BadImage, load_image, upright_size

    try:
        height, width = upright_size(source)
        scale = min(1.0, side / max(height, width))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        pixels: Array = load_image(source, size).permute(1, 2, 0).numpy()
    except BadImage:
        return None
    return pixels


def jpeg(image: Array) -> bytes:
    """`(H, W, 3)` uint8 as a JPEG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="jpeg", quality=90, subsampling=0)
    return stream.getvalue()
