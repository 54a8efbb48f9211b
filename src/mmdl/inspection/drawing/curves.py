"""Histograms, norms by layer and singular values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mmdl.inspection.drawing.picture import Picture, Theme, blank, number, plain_axes, themed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

BINS = 41


def histograms(named: Sequence[tuple[str, Array]], columns: int = 4, width: int = 1000) -> Picture:
    """A histogram of each vector, all counts on a logarithmic scale, 0 in the middle of each.

    Args:
        named: Name and values of each.
        columns: Side by side.
        width: Pixels of the page.
    """
    rows = -(-len(named) // columns)

    def draw(theme: Theme) -> Figure:
        height = 140 * rows
        figure = blank(width, height, theme.surface)
        grid = figure.add_gridspec(
            rows,
            columns,
            left=36 / width,
            right=1 - 12 / width,
            top=1 - 22 / height,
            bottom=20 / height,
            wspace=0.2,
            hspace=0.62,
        )
        for place, (name, values) in enumerate(named):
            axes = figure.add_subplot(grid[place // columns, place % columns])
            reach = float(np.abs(values).max(initial=0.0)) or 1.0
            axes.hist(values, bins=BINS, range=(-reach, reach), color=theme.accent, log=True)
            plain_axes(axes, theme, 9.5)
            axes.set_title(name if len(name) <= 32 else "…" + name[-31:], fontsize=11, color=theme.ink, pad=4)
            axes.set_xticks([-reach, 0, reach], [number(-reach), "0", number(reach)])
            axes.set_xlim(-1.15 * reach, 1.15 * reach)
            axes.set_ylim(bottom=0.5)
            axes.minorticks_off()
        return figure

    return themed(draw)


def spectrum(values: Array, width: int = 500, height: int = 300) -> Picture:
    """Singular values, descending, on a logarithmic scale.

    Args:
        values: `(R,)`, at least 0.
        width: Pixels of the page.
        height: Likewise.
    """

    def draw(theme: Theme) -> Figure:
        figure = blank(width, height, theme.surface)
        axes = figure.add_axes((64 / width, 34 / height, 1 - 76 / width, 1 - 46 / height))
        places = np.arange(1, len(values) + 1)
        floor = max(float(values.max(initial=0.0)) * 1e-16, 1e-300)
        axes.plot(
            places,
            np.maximum(values, floor),
            color=theme.accent,
            linewidth=1.6,
            marker="o" if len(values) <= 60 else "",
            markersize=5,
        )
        axes.set_yscale("log")
        plain_axes(axes, theme)
        axes.minorticks_off()
        axes.grid(axis="y", color=theme.grid, linewidth=0.8)
        axes.set_xlabel("number", fontsize=11, color=theme.muted)
        axes.set_ylabel("singular value", fontsize=11, color=theme.muted)
        axes.set_xlim(0.5, len(values) + 0.5)
        if len(values) <= 20:
            axes.set_xticks(places)
        low, high = axes.get_ylim()
        if high / low < 30:  # less than two decades would be left with a tick or none
            axes.set_ylim(low / 3, high * 3)
        return figure

    return themed(draw)
