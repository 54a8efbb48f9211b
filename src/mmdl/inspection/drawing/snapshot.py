"""One picture of what a network does with one image: for looking at it again and again while it learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmdl.figures.style import plain, style
from mmdl.inspection.drawing.picture import LIGHT, PIXEL_RATIO, blank, painted
from mmdl.inspection.drawing.pixels import as_rgb, overlaid
from mmdl.inspection.drawing.tiles import coloured, resized, scale_of
from mmdl.inspection.prediction_line import percent

Array = npt.NDArray[Any]

WIDTH, HEIGHT, TOP = 992, 392, 34
SIDE = 168
"""Pixels of the page that the image is wide."""

MAPS = 8
"""Maps of a stage that are drawn."""

TILE = 70

LEFT, BAR_WIDTH = 104, 200
"""Where the bars begin, and how long one of 100% is."""


class StageMaps(NamedTuple):
    """Feature maps of one stage.

    Attributes:
        title: Name of the stage.
        maps: `(C, H, W)`.
    """

    title: str
    maps: Array


class Snapshot(NamedTuple):
    """What is drawn.

    Attributes:
        title: The line on top.
        image: `(1 or 3, H, W)` in [0, 255].
        heat: `(H, W)`: Grad-CAM; None where it does not apply.
        stages: At most three.
        names: Classes, the most probable first.
        probabilities: Theirs.
        true: Index of the true class in `names`; None where it is not among them.
    """

    title: str
    image: Array
    heat: Array | None
    stages: Sequence[StageMaps]
    names: Sequence[str]
    probabilities: Sequence[float]
    true: int | None


class _Canvas:
    """Pixels and texts, placed in pixels of the page from the upper left corner.

    Everything but text is painted into one array: matplotlib's axes took ten times as long.
    """

    def __init__(self) -> None:
        self.pixels = np.zeros((HEIGHT * PIXEL_RATIO, WIDTH * PIXEL_RATIO, 4), dtype=np.uint8)
        self.figure = blank(WIDTH, HEIGHT, LIGHT.surface)

    def text(self, left: float, bottom: float, text: str, size: int, colour: str, **options: Any) -> None:
        self.figure.text(
            left / WIDTH, 1 - bottom / HEIGHT, plain(text, 120), fontsize=size, color=colour, **options
        )

    def image(self, left: int, top: int, image: Array, side: int) -> None:
        shown = resized(image, side * PIXEL_RATIO)
        height, width = shown.shape[:2]
        y, x = top * PIXEL_RATIO, left * PIXEL_RATIO
        self.pixels[y : y + height, x : x + width, :3] = shown
        self.pixels[y : y + height, x : x + width, 3] = 255

    def rectangle(self, left: int, top: int, width: float, height: int, colour: str) -> None:
        from matplotlib.colors import to_rgba

        y, x = top * PIXEL_RATIO, left * PIXEL_RATIO
        part = self.pixels[y : y + height * PIXEL_RATIO, x : x + max(2, round(width * PIXEL_RATIO))]
        part[:] = np.round(np.array(to_rgba(colour)) * 255).astype(np.uint8)

    def png(self) -> bytes:
        return painted(self.figure, self.pixels)


def snapshot_png(snapshot: Snapshot) -> bytes:
    """The picture as a PNG file.

    Args:
        snapshot: What to draw.
    """
    with style():
        return _drawn(snapshot)


def _drawn(snapshot: Snapshot) -> bytes:
    canvas = _Canvas()
    canvas.text(12, 25, snapshot.title, 13, LIGHT.ink)
    canvas.text(12, TOP + 13, "input", 11, LIGHT.muted)
    canvas.image(12, TOP + 18, as_rgb(snapshot.image), SIDE)
    if snapshot.heat is not None:
        canvas.text(24 + SIDE, TOP + 13, "Grad-CAM", 11, LIGHT.muted)
        canvas.image(24 + SIDE, TOP + 18, overlaid(snapshot.image, snapshot.heat), SIDE)
    for place, (name, probability) in enumerate(zip(snapshot.names, snapshot.probabilities, strict=True)):
        top = TOP + SIDE + 40 + 28 * place
        colour = LIGHT.right if place == snapshot.true else LIGHT.accent
        canvas.rectangle(LEFT, top, BAR_WIDTH * probability, 19, colour)
        canvas.text(
            LEFT - 6,
            top + 9.5,
            name if len(name) <= 12 else name[:11] + "…",
            11,
            LIGHT.ink,
            ha="right",
            va="center",
        )
        canvas.text(
            LEFT + 6 + BAR_WIDTH * probability, top + 9.5, percent(probability), 11, LIGHT.muted, va="center"
        )
    for number, stage in enumerate(snapshot.stages[:3]):
        left, top = 2 * SIDE + 52, TOP + 18 + number * (TILE + 36)
        canvas.text(left, top - 5, stage.title, 11, LIGHT.muted)
        colours = coloured(stage.maps[:MAPS], scale_of(stage.maps[:MAPS]))
        for place, image in enumerate(colours):
            canvas.image(left + place * (TILE + 4), top, image, TILE)
    return canvas.png()
