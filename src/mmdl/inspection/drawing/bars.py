"""Bars: the probabilities of the classes, and the outputs of fully connected layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mmdl.figures.style import plain
from mmdl.inspection.drawing.picture import Picture, Theme, blank, number, plain_axes, themed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

MOST_LETTERS = 28


def named_bars(
    names: Sequence[str],
    values: Array,
    texts: Sequence[str] | None = None,
    marked: int | None = None,
    width: int = 560,
) -> Picture:
    """Horizontal bars, each with its name at the left and its value at its end.

    Args:
        names: `N` names, from top to bottom.
        values: `(N,)`, of any sign.
        texts: What is written at the bars' ends; None for the values.
        marked: Index of a bar in the colour of what is true.
        width: Pixels of the page.
    """
    shown = [plain(name, MOST_LETTERS) for name in names]
    written = list(texts) if texts is not None else [number(float(value)) for value in values]

    def draw(theme: Theme) -> Figure:
        height = 28 if len(shown) > 4 else 44
        figure = blank(width, height * len(shown) + 8, theme.surface)
        room = min(0.45, (10 + 7.4 * max(len(name) for name in shown)) / width)
        axes = figure.add_axes((room, 0.0, 1 - room, 1.0))
        places = np.arange(len(shown))
        colours = [theme.right if place == marked else theme.accent for place in places]
        axes.barh(places, values, color=colours, height=0.66)
        axes.axvline(0, color=theme.grid, linewidth=1)
        plain_axes(axes, theme)
        axes.spines["bottom"].set_visible(False)
        axes.set_xticks([])
        axes.set_yticks(places, shown, fontsize=13, color=theme.ink)
        axes.set_ylim(len(shown) - 0.45, -0.55)
        low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
        span = (high - low) or 1.0
        axes.set_xlim(low - (0.18 * span if low < 0 else 0.01 * span), high + 0.18 * span)
        for place, (value, text) in enumerate(zip(values, written, strict=True)):
            beside, align = (value + 0.012 * span, "left") if value >= 0 else (value - 0.012 * span, "right")
            axes.text(beside, place, text, va="center", ha=align, fontsize=12, color=theme.muted)
        return figure

    return themed(draw)


def numbered_bars(values: Array, width: int = 1000, height: int = 170) -> Picture:
    """Vertical bars side by side, the index below.

    Args:
        values: `(N,)`, of any sign.
        width: Pixels of the page.
        height: Likewise.
    """

    def draw(theme: Theme) -> Figure:
        figure = blank(width, height, theme.surface)
        axes = figure.add_axes((46 / width, 22 / height, 1 - 52 / width, 1 - 32 / height))
        axes.bar(np.arange(len(values)), values, color=theme.accent, width=0.8)
        plain_axes(axes, theme)
        axes.axhline(0, color=theme.muted, linewidth=0.8)
        axes.set_xlim(-0.8, len(values) - 0.2)
        axes.locator_params(axis="y", nbins=4)
        axes.grid(axis="y", color=theme.grid, linewidth=0.8)
        return figure

    return themed(draw)
