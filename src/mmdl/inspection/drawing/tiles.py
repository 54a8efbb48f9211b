"""Many small maps side by side, one colour scale for all, each with its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmdl.figures.style import plain, style
from mmdl.inspection.drawing.picture import NEUTRAL_TEXT, PIXEL_RATIO, Picture, blank, number, painted

Array = npt.NDArray[Any]

GAP = 6
"""Pixels of the page between tiles."""

LABEL = 15
"""Pixels of the page for the number above a tile."""

BAR = 76
"""Pixels of the page for the colour scale at the right."""


def scale_of(values: Array) -> tuple[str, float, float]:
    """Colour map and limits for values: red and blue around 0 where there are both signs, else dark to bright.

    Single outliers would leave everything else pale: the limits leave out the outermost 0.5% of the values.

    Args:
        values: Any shape.
    """
    low, high = (float(np.quantile(values, q)) for q in (0.0025, 0.9975)) if values.size else (0.0, 0.0)
    if low < 0:
        reach = max(-low, high) or 1.0
        return "RdBu_r", -reach, reach
    return "viridis", 0.0, high or float(values.max(initial=0.0)) or 1.0


def coloured(values: Array, scale: tuple[str, float, float]) -> Array:
    """`(..., 3)` uint8 colours of values."""
    import matplotlib

    name, low, high = scale
    shares = np.clip((values - low) / (high - low), 0, 1)
    return matplotlib.colormaps[name](shares, bytes=True)[..., :3]


def resized(image: Array, side: int) -> Array:
    """An `(H, W, 3)` uint8 image enlarged by a whole factor to at most `side` pixels, or averaged down to them."""
    from PIL import Image

    height, width = image.shape[:2]
    longest = max(height, width)
    if longest > side:
        size = (max(1, round(width * side / longest)), max(1, round(height * side / longest)))
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
    factor = side // longest
    return image.repeat(factor, 0).repeat(factor, 1)


def tiles(
    colours: Array,
    labels: Sequence[str],
    side: int = 70,
    columns: int | None = None,
    scale: tuple[str, float, float] | None = None,
    page_width: int = 1000,
) -> Picture:
    """Draw tiles in rows.

    Args:
        colours: `(N, H, W, 3)` uint8.
        labels: `N` short names; empty ones leave no room.
        side: Wanted side of a tile, in pixels of the page.
        columns: Tiles in a row; None for as many as fit.
        scale: Colour map and limits, for a colour scale at the right.
        page_width: Pixels of the page that there are.
    """
    shown = np.stack([resized(image, side * PIXEL_RATIO) for image in colours])  # (N, h, w, 3)
    height, width = shown.shape[1:3]
    gap, label = GAP * PIXEL_RATIO, (LABEL if any(labels) else 0) * PIXEL_RATIO
    bar = BAR * PIXEL_RATIO if scale is not None else 0
    fitting = max(1, (page_width * PIXEL_RATIO - bar + gap) // (width + gap))
    rows = -(-len(shown) // (columns or fitting))
    columns = columns or -(-len(shown) // rows)  # rows of equal length
    total = (rows * (height + label + gap) - gap, columns * (width + gap) - gap + bar)
    tall = max(total[0], 64 * PIXEL_RATIO if bar else 0)
    canvas = np.zeros((tall + tall % PIXEL_RATIO, total[1] + total[1] % PIXEL_RATIO, 4), dtype=np.uint8)
    texts: list[tuple[float, float, str, str, str]] = []
    for place, (image, text) in enumerate(zip(shown, labels, strict=True)):
        top = (place // columns) * (height + label + gap) + label
        left = (place % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = np.dstack(
            [image, np.full(image.shape[:2], 255, np.uint8)]
        )
        if text:
            texts.append((left, top - 5, text, "bottom", "left"))
    if scale is not None:
        texts += _draw_scale(canvas, scale, label)
    size = canvas.shape[1] // PIXEL_RATIO, canvas.shape[0] // PIXEL_RATIO
    with style():
        figure = blank(*size, None)
        for x, y, text, vertical, horizontal in texts:
            place_x, place_y = x / canvas.shape[1], 1 - y / canvas.shape[0]
            figure.text(
                place_x, place_y, plain(text), fontsize=11, color=NEUTRAL_TEXT, va=vertical, ha=horizontal
            )
        return Picture(painted(figure, canvas), None, *size)


def _draw_scale(
    canvas: Array, scale: tuple[str, float, float], top: int
) -> list[tuple[float, float, str, str, str]]:
    """The colours from the highest value down to the lowest, at the right edge of the canvas.

    Returns:
        The texts beside them: x, y, text, vertical and horizontal alignment.
    """
    _, low, high = scale
    left = canvas.shape[1] - (BAR - 14) * PIXEL_RATIO
    bottom = min(canvas.shape[0], top + 160 * PIXEL_RATIO)
    ramp = coloured(np.linspace(high, low, bottom - top), scale)[:, None]  # (h, 1, 3)
    canvas[top:bottom, left : left + 10 * PIXEL_RATIO, :3] = ramp
    canvas[top:bottom, left : left + 10 * PIXEL_RATIO, 3] = 255
    right = left + 14 * PIXEL_RATIO
    places = [(high, top, "top"), (low, bottom, "bottom")]
    if low < 0 < high:
        places.append((0.0, (top + bottom) // 2, "center"))
    return [(right, y, number(value), align, "left") for value, y, align in places]
