"""The look of all figures: dark on white, one font, no pyplot state, written atomically."""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from mmdl.runs.files import atomic_write

DARK = "#1f2933"
"""Text and axes."""

GREY = "#9aa5b1"
"""What is there for comparison: diagonals, chance levels."""

BLUE, ORANGE, GREEN, RED = "#2166ac", "#d9730d", "#2e7d4f", "#b2182b"
"""Lines and bars; apart for colour-blind readers too."""

DPI = 150

_SETTINGS = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.color": DARK,
    "axes.edgecolor": DARK,
    "axes.labelcolor": DARK,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.linewidth": 0.8,
    "axes.grid": False,
    "axes.facecolor": "white",
    "figure.facecolor": "white",
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "xtick.color": DARK,
    "ytick.color": DARK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "lines.linewidth": 1.6,
}


def style() -> Any:
    """A context in which figures are made with this look, whatever the user's own matplotlib settings are."""
    import matplotlib

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # "building the font cache", on a fresh machine
    return matplotlib.rc_context(matplotlib.rcParamsDefault | _SETTINGS | {"backend": "agg"})


def new_figure(width: float, height: float, **options: Any) -> Any:
    """A matplotlib figure outside of pyplot, laid out by itself; call it, and draw, inside of `style()`.

    Args:
        width: Inches.
        height: Inches.
        **options: As for `matplotlib.figure.Figure`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, **({"layout": "constrained"} | options))
    if "layout" not in options:
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr,call-arg]
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Any, grid: str | None = None) -> None:
    """Take the upper and right frame away; add a light grid along `x`, `y` or `both`."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid is not None:
        axes.grid(axis=grid)


def plain(text: str, most: int = 24) -> str:
    r"""A name as matplotlib shows it literally: no math between dollar signs, not too long.

    >>> plain("a$b"), plain("a very long name of a class", most=12)
    ('a\\$b', 'a very long…')
    """
    short = text if len(text) <= most else text[: most - 1] + "…"
    return short.replace("$", r"\$")


def save_png(figure: Any, path: Path) -> Path:
    """Write a figure as PNG; the same figure gives the same bytes.

    Args:
        figure: From `new_figure`.
        path: The file.
    """
    buffer = io.BytesIO()
    with style(), warnings.catch_warnings():
        # A class name in a script that the font lacks is shown as boxes; that is no reason to warn at each letter.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        figure.savefig(buffer, format="png", metadata={"Software": None})

    def write(handle: BinaryIO) -> None:
        handle.write(buffer.getvalue())

    atomic_write(path, write)
    return path
