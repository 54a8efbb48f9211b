"""What a drawing is made on and returned as: a PNG for light pages and, where it has text, one for dark pages."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmdl.figures.style import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

PIXEL_RATIO = 2
"""Pixels of a picture for one pixel of the page: sharp on dense screens."""

DPI = 72 * PIXEL_RATIO
"""A font of 10 points is then 10 pixels of the page high."""


class Theme(NamedTuple):
    """Colours of a drawing.

    Attributes:
        surface: Behind everything.
        ink: Text.
        muted: Ticks and minor text.
        grid: Lines.
        accent: Bars and curves.
        right: What is true.
    """

    surface: str
    ink: str
    muted: str
    grid: str
    accent: str
    right: str


LIGHT = Theme("#ffffff", "#1c2630", "#58636f", "#dfe4e9", "#2f6db3", "#1d7d4f")
DARK = Theme("#191e24", "#e7eaed", "#a4aeb9", "#38414b", "#6ba6e3", "#5dc092")
NEUTRAL_TEXT = "#7b8692"
"""Text that can be read on both surfaces."""


class Picture(NamedTuple):
    """A drawing as PNG files.

    Attributes:
        light: For light pages, and for the file on disk.
        dark: For dark pages; None where `light` is good for both.
        width: Pixels of the page that it is wide.
        height: Pixels of the page that it is high.
    """

    light: bytes
    dark: bytes | None
    width: int
    height: int


def blank(width: float, height: float, surface: str | None) -> Figure:
    """A new figure.

    Args:
        width: In pixels of the page.
        height: Likewise.
        surface: Colour behind everything; None for transparent.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=DPI, facecolor=surface or "none")
    FigureCanvasAgg(figure)
    return figure


def themed(draw: Callable[[Theme], Figure]) -> Picture:
    """A drawing in both themes.

    Args:
        draw: Makes the figure in the colours of a theme.
    """
    with style():
        light = draw(LIGHT)
        return _picture(light, png(draw(DARK)))


def painted(figure: Figure, pixels: Array) -> bytes:
    """A figure of texts with pixels painted over it, as a PNG file.

    matplotlib would resample an image even where nothing is to be scaled, which takes most of the time.

    Args:
        figure: The texts.
        pixels: `(H, W, 4)` uint8 of the figure's own size; what is transparent is not painted.
    """
    from PIL import Image

    canvas: Any = figure.canvas
    with _quiet_glyphs():
        canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba()).copy()
    assert drawn.shape == pixels.shape, (drawn.shape, pixels.shape)
    opaque = pixels[..., 3] > 0
    drawn[opaque] = pixels[opaque]
    stream = io.BytesIO()
    Image.fromarray(drawn).save(stream, format="png")
    return stream.getvalue()


def png(figure: Figure) -> bytes:
    """The figure as a PNG file with the same bytes each time."""
    stream = io.BytesIO()
    with _quiet_glyphs():
        figure.savefig(
            stream, format="png", dpi=DPI, facecolor=figure.get_facecolor(), metadata={"Software": None}
        )
    return stream.getvalue()


@contextmanager
def _quiet_glyphs() -> Iterator[None]:
    """Class names in a script that the font lacks are shown as boxes, without a warning for each letter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def _picture(figure: Figure, dark: bytes | None) -> Picture:
    width, height = figure.get_size_inches() * 72
    return Picture(png(figure), dark, round(width), round(height))


def plain_axes(axes: Axes, theme: Theme, size: float = 11) -> None:
    """Axes without a frame, in the colours of a theme.

    Args:
        axes: To be styled.
        theme: Colours.
        size: Of the tick labels, in pixels of the page.
    """
    axes.set_facecolor(theme.surface)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.grid)
    axes.tick_params(colors=theme.muted, labelsize=size, length=0, which="both")
    axes.set_axisbelow(True)


def number(value: float) -> str:
    """A number in few characters.

    >>> number(0.0), number(3.14159), number(-0.00012), number(12345.6)
    ('0', '3.14', '−1.2e−4', '12,346')
    """
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.01 or size >= 1e6:
        digits, _, exponent = f"{value:.1e}".partition("e")
        text = f"{digits}e{int(exponent)}"
    else:
        text = f"{value:,.0f}" if size >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")  # a minus, and not a hyphen at which a line breaks
