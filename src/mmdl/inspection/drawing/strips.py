"""Long vectors and wide matrices as strips of colour."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mmdl.figures.style import plain
from mmdl.inspection.drawing.picture import PIXEL_RATIO, Picture, Theme, blank, number, plain_axes, themed
from mmdl.inspection.drawing.tiles import coloured, scale_of, tiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

WIDTH = 900
"""Pixels of the page that a strip is wide at most."""


NAME = 12
"""Letters of a class name that are written."""

MOST_NAMES = 20
"""Rows and columns up to which each gets its name."""


def _room(names: Sequence[str]) -> int:
    """Pixels of the page for the longest name."""
    return 12 + 7 * max((min(NAME, len(name)) for name in names), default=0)


def vector_strip(values: Array) -> Picture:
    """A vector as one strip of colour that is wrapped like text: left to right, then the next line.

    Args:
        values: `(N,)`.
    """
    line = min(len(values), WIDTH // 4)
    padded = np.full(-(-len(values) // line) * line, np.nan)
    padded[: len(values)] = values
    scale = scale_of(values)
    lines = padded.reshape(-1, line)  # (lines, line)
    cell = min(24, max(1, WIDTH // line))
    colours = coloured(np.nan_to_num(lines), scale).repeat(max(6, cell, 24 // len(lines)), 0).repeat(cell, 1)
    return tiles(colours[None], [""], max(colours.shape[:2]), scale=scale, page_width=WIDTH + 60)


def matrix_strip(matrix: Array, names: Sequence[str], height: int = 24) -> Picture:
    """A matrix with few rows and many columns; of columns that share a pixel the one of largest size is drawn.

    Args:
        matrix: `(R, n)`.
        names: `R` names of the rows.
        height: Pixels of the page for a row.
    """
    width = WIDTH * PIXEL_RATIO
    rows, columns = matrix.shape
    if columns > width:
        bounds = np.linspace(0, columns, width + 1).astype(int)
        parts = [matrix[:, a:b] for a, b in pairwise(bounds)]
        matrix = np.stack([part[np.arange(rows), np.abs(part).argmax(1)] for part in parts], axis=1)
    name, low, high = scale_of(matrix)

    def draw(theme: Theme) -> Figure:
        left = _room(names)
        total = left + WIDTH + 60
        tall = height * rows + 24
        figure = blank(total, tall, theme.surface)
        axes = figure.add_axes((left / total, 20 / tall, WIDTH / total, 1 - 24 / tall))
        axes.imshow(
            matrix,
            aspect="auto",
            cmap=name,
            vmin=low,
            vmax=high,
            interpolation="nearest",
            extent=(0, columns, rows, 0),
        )
        plain_axes(axes, theme)
        axes.spines["bottom"].set_visible(False)
        axes.set_yticks(
            np.arange(rows) + 0.5, [plain(text, NAME) for text in names], fontsize=11, color=theme.ink
        )
        bar = figure.add_axes(((left + WIDTH + 10) / total, 20 / tall, 8 / total, 1 - 24 / tall))
        bar.imshow(np.linspace(high, low, 128)[:, None], aspect="auto", cmap=name, vmin=low, vmax=high)
        bar.set_xticks([])
        bar.yaxis.tick_right()
        bar.set_yticks([0, 127], [number(high), number(low)], fontsize=11, color=theme.muted)
        bar.tick_params(length=0, pad=2)
        for spine in bar.spines.values():
            spine.set_visible(False)
        return figure

    return themed(draw)


def square_matrix(matrix: Array, names: Sequence[str]) -> Picture:
    """A square matrix of any sign with the names of its rows and columns.

    Args:
        matrix: `(K, K)`.
        names: `K` names; written where there are at most `MOST_NAMES`.
    """
    side = min(320, max(150, 32 * len(matrix)))
    scale = scale_of(matrix)

    def draw(theme: Theme) -> Figure:
        left = _room(names) if len(matrix) <= MOST_NAMES else 10
        width, height = left + side + 70, side + 30
        figure = blank(width, height, theme.surface)
        axes = figure.add_axes((left / width, 26 / height, side / width, side / height))
        shown = axes.imshow(matrix, cmap=scale[0], vmin=scale[1], vmax=scale[2], interpolation="nearest")
        plain_axes(axes, theme)
        axes.spines["bottom"].set_visible(False)
        places = range(len(matrix)) if len(matrix) <= MOST_NAMES else range(0)
        axes.set_yticks(places, [plain(names[p], NAME) for p in places], fontsize=11, color=theme.ink)
        short = max(2, side // len(matrix) // 8)
        axes.set_xticks(places, [plain(names[p][:short]) for p in places], fontsize=11, color=theme.ink)
        bar = figure.colorbar(
            shown, cax=figure.add_axes(((left + 10 + side) / width, 26 / height, 8 / width, side / height))
        )
        bar.outline.set_visible(False)
        bar.ax.tick_params(colors=theme.muted, labelsize=10, length=0)
        return figure

    return themed(draw)
