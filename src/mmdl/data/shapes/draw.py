"""Draws scenes: integer arithmetic only, so that pixels are the same on every platform."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mmdl.data.shapes.scene import CANVAS, EXTENT, Scene, SceneObject

RGB = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (40, 90, 220),
    "yellow": (250, 225, 40),
    "purple": (120, 40, 160),
    "orange": (250, 120, 10),
    "pink": (250, 140, 200),
    "black": (25, 25, 25),
}
"""Colour name -> red, green, blue, each 0 to 255."""

# Vertices in thousandths of the radius; y points down. All lie within EXTENT of the centre.
_POLYGONS = {
    "square": ((-785, -785), (785, -785), (785, 785), (-785, 785)),
    "triangle": ((0, -1110), (961, 555), (-961, 555)),
}  # fmt: skip
_CIRCLE = 900  # radius of the circle in thousandths, so that areas of shapes are alike
EXTENTS = {"circle": (-_CIRCLE, -_CIRCLE, _CIRCLE, _CIRCLE)} | {
    shape: (
        min(u for u, _ in corners), min(v for _, v in corners),
        max(u for u, _ in corners), max(v for _, v in corners),
    )
    for shape, corners in _POLYGONS.items()
}  # fmt: skip
"""Shape -> left, top, right and bottom of its box around the centre, in thousandths of the radius."""

# Size of the hole in a hollow shape, in thousandths of the shape's.
_HOLE = {
    "circle": 600,
    "square": 580,
    "triangle": 480,
}  # of hollow shapes, thousandths
_STRIPE = 16  # width of a stripe in canvas units: 2 pixels at 64
_SAMPLES = 4  # sub-pixel samples a side

Mask = NDArray[np.bool_]


def render(scene: Scene, image_size: int = 64) -> NDArray[np.uint8]:
    """Draws a scene, anti-aliased with 4 x 4 samples a pixel.

    Args:
        scene: What to draw; later objects cover earlier ones.
        image_size: Side of the picture in pixels, 32 to 1024.

    Returns:
        `(H, W, 3)` uint8 RGB, `H == W == image_size`.

    >>> from mmdl.data.shapes.scene import SceneObject
    >>> dot = SceneObject("circle", "red", "small", "solid", x=256, y=256, radius=52)
    >>> image = render(Scene((dot,), background=240), 64)
    >>> image.shape, image[32, 32].tolist(), image[0, 0].tolist()
    ((64, 64, 3), [214, 39, 40], [240, 240, 240])
    """
    image = np.full((image_size, image_size, 3), scene.background, np.uint16)
    for item in scene.objects:
        _paste(image, item, image_size)
    return image.astype(np.uint8)


def _paste(image: NDArray[np.uint16], item: SceneObject, image_size: int) -> None:
    column, x_rest = divmod(item.x * image_size, CANVAS)
    row, y_rest = divmod(item.y * image_size, CANVAS)
    reach, paint = _sprite(item.shape, item.color, item.pattern, item.radius, x_rest, y_rest, image_size)
    clear, inked = paint
    top, left = max(0, row - reach), max(0, column - reach)
    window = image[top : row + reach + 1, left : column + reach + 1]
    rows = slice(top - row + reach, top - row + reach + window.shape[0])
    columns = slice(left - column + reach, left - column + reach + window.shape[1])
    total = _SAMPLES * _SAMPLES
    window[:] = (window * clear[rows, columns] + inked[rows, columns] + total // 2) // total


@lru_cache(maxsize=4096)
def _sprite(
    shape: str, color: str, pattern: str, radius: int, x_rest: int, y_rest: int, image_size: int
) -> tuple[int, tuple[NDArray[np.uint16], NDArray[np.uint16]]]:
    """One object's paint around its centre's pixel.

    Returns:
        Reach in pixels on each side of the centre's pixel, and two arrays of side `2 * reach + 1`: how many
        of a pixel's samples stay clear `(h, w, 1)`, and the sum of the colours of the others `(h, w, 3)`.
    """
    reach = radius * EXTENT * image_size // (1000 * CANVAS) + 2
    # Sample points relative to the centre, in units of CANVAS / (2 * _SAMPLES * image_size): integers.
    scale = 2 * _SAMPLES * image_size
    points = (2 * np.arange(-reach * _SAMPLES, (reach + 1) * _SAMPLES, dtype=np.int64) + 1) * CANVAS
    x = (points - 2 * _SAMPLES * x_rest)[None, :]
    y = (points - 2 * _SAMPLES * y_rest)[:, None]
    inside = _inside(shape, x, y, radius * scale, 1000)
    if pattern == "hollow":
        inside &= ~_inside(shape, x, y, radius * scale, _HOLE[shape])
    light = np.zeros_like(inside)
    if pattern == "striped":
        light = inside & (((x + y) // (_STRIPE * scale * 3 // 2)) % 2 == 0)
    dark = _per_pixel(inside & ~light)
    pale = _per_pixel(light)
    ink = np.array(RGB[color], np.uint16)
    tint = (2 * ink + 3 * 255) // 5
    clear = _SAMPLES * _SAMPLES - dark - pale
    return reach, (clear, dark * ink + pale * tint.astype(np.uint16))


def _inside(shape: str, x: NDArray[np.int64], y: NDArray[np.int64], radius: int, thousandths: int) -> Mask:
    """Which points lie in `shape`, shrunk to `thousandths` of its size; by the even-odd rule for polygons."""
    if shape == "circle":
        return x * x + y * y <= (radius * _CIRCLE * thousandths // 10**6) ** 2
    corners = [
        (u * radius * thousandths // 10**6, v * radius * thousandths // 10**6) for u, v in _POLYGONS[shape]
    ]
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        crosses = (y0 > y) != (y1 > y)
        side = (x - x0) * (y1 - y0) - (x1 - x0) * (
            y - y0
        )  # > 0: the point lies right of an edge that goes down
        inside ^= crosses & ((side < 0) if y1 > y0 else (side > 0))
    return inside


def _per_pixel(samples: Mask) -> NDArray[np.uint16]:
    side = samples.shape[0] // _SAMPLES
    counts = samples.reshape(side, _SAMPLES, side, _SAMPLES).sum(axis=(1, 3), dtype=np.uint16)
    return counts[:, :, None]  # (h, w, 1)
