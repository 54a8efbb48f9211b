"""What a query finds: captions beside the images that are nearest to them, and images beside captions."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdl.figures.style import DARK, GREEN, GREY, new_figure, style

Pixels = NDArray[np.uint8]

SIDE = 160
"""Pixels that an image is made smaller to."""

RIGHT, WRONG = "\N{CHECK MARK}", "\N{MULTIPLICATION SIGN}"

_DPI = 120
"""Half of the time goes into the PNG: pictures that are drawn at each validation are smaller than others."""

_TILE, _GAP, _TEXT, _MARGIN = 1.0, 0.14, 2.5, 0.2
"""Inches: an image, the space between two, the column of the queries, and around all."""


class Hit(NamedTuple):
    """One item that was found.

    Attributes:
        item: An image, `(H, W, 3)` uint8, or a caption.
        similarity: Cosine with the query.
        right: It belongs to the query.
        rank: Its place, from 1.
    """

    item: Pixels | str
    similarity: float
    right: bool
    rank: int


class Query(NamedTuple):
    """One query with what it finds.

    Attributes:
        query: A caption, or an image `(H, W, 3)` uint8.
        hits: The nearest, in their order.
        missed: The best right one, where none of the nearest is right; None otherwise.
        among: Number of items that were searched.
    """

    query: Pixels | str
    hits: Sequence[Hit]
    missed: Hit | None
    among: int


def draw_text_queries(queries: Sequence[Query], title: str) -> Any:
    """A row a caption: its nearest images, the right one in a frame with a check mark.

    Where the right one is not among them it stands at the end of the row with its rank.

    Args:
        queries: At least one; their items are images.
        title: Above all.

    Returns:
        A matplotlib figure.
    """
    columns = max(len(query.hits) for query in queries)
    row = _TILE + 0.42
    width = 2 * _MARGIN + _TEXT + columns * (_TILE + _GAP) - _GAP
    width += (_TILE + 0.34) * any(query.missed is not None for query in queries)
    with style():
        axes = _page(width, len(queries) * row, title)
        for number, query in enumerate(queries):
            top = number * row
            assert isinstance(query.query, str)
            _write(axes, _MARGIN, top, _wrapped(query.query, 36, 6), fontsize=8.5)
            for place, hit in enumerate(query.hits):
                _tile(axes, _MARGIN + _TEXT + place * (_TILE + _GAP), top, hit, f"{hit.similarity:.2f}")
            if query.missed is not None:
                left = _MARGIN + _TEXT + columns * (_TILE + _GAP) + 0.2
                label = f"rank {query.missed.rank:,}\nof {query.among:,}"
                _tile(axes, left, top, query.missed, label)
    return axes.figure


def draw_image_queries(queries: Sequence[Query], title: str) -> Any:
    """A row an image: its nearest captions, the right ones in bold green with a check mark.

    Args:
        queries: At least one; their items are captions.
        title: Above all.

    Returns:
        A matplotlib figure.
    """
    line, most = 0.155, 2
    with style():
        rows = [_caption_lines(query, most) for query in queries]
        heights = [max(_TILE, line * sum(len(text) for text, _ in lines)) + 0.3 for lines in rows]
        axes = _page(9.0, sum(heights), title)
        top = 0.0
        for query, lines, height in zip(queries, rows, heights, strict=True):
            assert not isinstance(query.query, str)
            _image(axes, _MARGIN, top, query.query)
            y = top
            for text, right in lines:
                look: dict[str, Any] = {"color": GREEN, "fontweight": "bold"} if right else {}
                _write(axes, _MARGIN + _TILE + 0.2, y, text, fontsize=8.5, **look)
                y += line * len(text)
            top += height
    return axes.figure


def _caption_lines(query: Query, most: int) -> list[tuple[list[str], bool]]:
    """Each hit as at most so many lines, and whether it is right."""
    found = []
    for hit in [*query.hits, *([query.missed] if query.missed is not None else [])]:
        assert isinstance(hit.item, str)
        text = _wrapped(hit.item, 80, most)
        sign = RIGHT if hit.right else WRONG
        late = f"  (rank {hit.rank:,} of {query.among:,})" if hit is query.missed else ""
        head = f"{sign} {hit.similarity:5.2f}   "
        found.append(
            ([head + text[0] + late, *(" " * 14 + rest for rest in text[1:])], hit.right),
        )
    return found


def shown_text(text: str) -> str:
    r"""A text as a figure can show it: one line, without control characters and lone surrogates.

    >>> shown_text("a $b$\n\tc\x00\ud800")
    'a $b$ c��'
    """
    joined = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in joined)


def _wrapped(text: str, letters: int, most: int) -> list[str]:
    """At most so many lines; letters of double width count twice."""
    shown = shown_text(text)[: 4 * letters * most]
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in shown)
    if wide > len(shown) // 4:
        letters //= 2
    return textwrap.wrap(shown, letters, max_lines=most, placeholder=" …") or [""]


def _page(width: float, height: float, title: str) -> Any:
    """One pair of axes over the whole figure, in inches from the upper left."""
    head = 0.45
    figure = new_figure(width, height + head + _MARGIN, layout="none")
    figure.set_dpi(_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height + _MARGIN, -head)
    axes.set_axis_off()
    _write(axes, _MARGIN, -head + 0.12, [title], fontsize=10, fontweight="bold")
    return axes


def _write(axes: Any, x: float, y: float, lines: Sequence[str], **look: Any) -> None:
    axes.text(x, y, "\n".join(lines), va="top", parse_math=False, **({"color": DARK} | look))


def _image(axes: Any, x: float, y: float, pixels: Pixels) -> None:
    from PIL import Image

    high, wide = pixels.shape[:2]
    if max(high, wide) > SIDE:
        scale = SIDE / max(high, wide)
        size = (max(1, round(wide * scale)), max(1, round(high * scale)))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    high, wide = pixels.shape[:2]
    width, height = _TILE * wide / max(high, wide), _TILE * high / max(high, wide)
    left, top = x + (_TILE - width) / 2, y + (_TILE - height) / 2
    axes.imshow(
        pixels, extent=(left, left + width, top + height, top), interpolation="antialiased", aspect="auto"
    )


def _tile(axes: Any, x: float, y: float, hit: Hit, label: str) -> None:
    """An image with its label; a right one in a thick frame, with a check mark."""
    from matplotlib.patches import Rectangle

    assert not isinstance(hit.item, str)
    _image(axes, x, y, hit.item)
    frame: dict[str, Any] = {"edgecolor": GREY, "linewidth": 0.6}
    if hit.right:
        frame = {"edgecolor": GREEN, "linewidth": 3.0}
    axes.add_patch(Rectangle((x, y), _TILE, _TILE, fill=False, **frame))
    look: dict[str, Any] = {"color": GREEN, "fontweight": "bold"} if hit.right else {}
    sign = RIGHT if hit.right else WRONG
    axes.text(
        x + _TILE / 2,
        y + _TILE + 0.05,
        f"{sign} {label}",
        ha="center",
        va="top",
        fontsize=8,
        **({"color": DARK} | look),
    )
