"""A contact sheet: thumbnails in rows, each with a line of its own below it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmdl.figures.style import GREY, style
from mmdl.inspection.drawing.picture import LIGHT, PIXEL_RATIO, blank, painted
from mmdl.runs.files import write_bytes

Array = npt.NDArray[Any]

SIDE, GAP, MARGIN = 150, 14, 20
"""Pixels of the page: side of a thumbnail, space between two, space around all."""

LINE = 15
"""Height of a line of text."""

TITLE_LINES = 3
NAME_LETTERS = 24


class Tile(NamedTuple):
    """One thumbnail.

    Attributes:
        image: `(H, W, 3)` uint8; None draws an empty frame with the word `note`.
        label: In bold below it, such as rank and similarity.
        name: In grey below that.
        note: In the frame, where there is no image.
    """

    image: Array | None
    label: str
    name: str = ""
    note: str = ""


def contact_sheet(
    title: str, subtitle: str, tiles: Sequence[Tile], columns: int = 5, beside: Array | None = None
) -> bytes:
    """Draw a sheet as a PNG file.

    Args:
        title: Wrapped to at most three lines.
        subtitle: One line below it.
        tiles: In reading order.
        columns: Thumbnails in a row.
        beside: `(H, W, 3)` uint8, an image that the title is about, at its left.
    """
    columns = max(1, min(columns, len(tiles)))
    wide = max(columns, 3)
    width = 2 * MARGIN + wide * SIDE + (wide - 1) * GAP
    left = MARGIN + (72 if beside is not None else 0)
    lines = _wrapped(title, (width - left - MARGIN) // 10)
    head = max(len(lines) * 22 + 22, 76 if beside is not None else 0)
    cell = SIDE + 2 * LINE + GAP
    rows = -(-len(tiles) // columns)
    height = 2 * MARGIN + head + max(1, rows) * cell - GAP
    pixels = np.zeros((height * PIXEL_RATIO, width * PIXEL_RATIO, 4), np.uint8)
    with style():
        figure = blank(width, height, LIGHT.surface)

        def write(x: float, y: float, text: str, **options: Any) -> None:
            figure.text(x / width, 1 - y / height, text, va="top", parse_math=False, **options)

        if beside is not None:
            _paint(pixels, beside, MARGIN, MARGIN, 56)
        for number, line in enumerate(lines):
            write(left, MARGIN + 22 * number, line, fontsize=16, fontweight="bold", color=LIGHT.ink)
        write(left, MARGIN + 22 * len(lines), subtitle, fontsize=11, color=LIGHT.muted)
        for place, tile in enumerate(tiles):
            x = MARGIN + (place % columns) * (SIDE + GAP)
            y = MARGIN + head + (place // columns) * cell
            if tile.image is not None:
                _paint(pixels, tile.image, x, y, SIDE)
            else:
                _frame(pixels, x, y)
                write(x + SIDE / 2, y + SIDE / 2 - 6, tile.note, fontsize=11, color=LIGHT.muted, ha="center")
            write(x, y + SIDE + 3, tile.label, fontsize=11, fontweight="bold", color=LIGHT.ink)
            write(x, y + SIDE + 3 + LINE, _middle(tile.name), fontsize=9, color=LIGHT.muted)
        return painted(figure, pixels)


def write_contact_sheet(path: Path, *arguments: Any, **options: Any) -> Path:
    """Write a sheet; the arguments are those of `contact_sheet`."""
    write_bytes(path, contact_sheet(*arguments, **options))
    return path


def _wrapped(text: str, letters: int) -> list[str]:
    return textwrap.wrap(text, letters, max_lines=TITLE_LINES, placeholder=" …", break_on_hyphens=False) or [
        ""
    ]


def _middle(text: str) -> str:
    """A name with its middle left out where it is too long: its end tells files apart."""
    if len(text) <= NAME_LETTERS:
        return text
    kept = NAME_LETTERS - 1
    return f"{text[: kept // 3]}…{text[-(kept - kept // 3) :]}"


def _paint(pixels: Array, image: Array, x: int, y: int, side: int) -> None:
    """Put an image into the middle of a square."""
    from PIL import Image

    high, wide = image.shape[:2]
    scale = side * PIXEL_RATIO / max(high, wide)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    fitted = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    top = y * PIXEL_RATIO + (side * PIXEL_RATIO - size[1]) // 2
    left = x * PIXEL_RATIO + (side * PIXEL_RATIO - size[0]) // 2
    pixels[top : top + size[1], left : left + size[0], :3] = fitted
    pixels[top : top + size[1], left : left + size[0], 3] = 255


def _frame(pixels: Array, x: int, y: int) -> None:
    """The edge of a square in grey."""
    top, left, side = y * PIXEL_RATIO, x * PIXEL_RATIO, SIDE * PIXEL_RATIO
    colour = [int(GREY[place : place + 2], 16) for place in (1, 3, 5)] + [255]
    for edge in (0, side - 1):
        pixels[top + edge, left : left + side] = colour
        pixels[top : top + side, left + edge] = colour
