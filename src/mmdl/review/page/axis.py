"""Scores and intervals as small drawings on one axis: SVG without a script, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mmdl.review.page.numbers import figure_words


class Axis:
    """A linear axis that rows of a table share.

    Args:
        values: What must find place on it; those that are not finite are left out.
        zero: Whether 0 must find place too.
    """

    def __init__(self, values: Iterable[float | None], zero: bool = False) -> None:
        found = [value for value in values if value is not None and math.isfinite(value)]
        if zero or not found:
            found.append(0.0)
        low, high = min(found), max(found)
        room = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
        self.low, self.high = low - room, high + room
        if low >= 0 and not zero:
            self.low = max(0.0, self.low)  # no score below 0 is suggested where there can't be one
        if high <= 1 < self.high and not zero:
            self.high = max(1.0, high)

    def place(self, value: float) -> str:
        """Where a value stands, as a share of the width; one beyond the axis at its end."""
        value = min(max(value, self.low), self.high)
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}%"

    def ticks(self) -> list[float]:
        """Three to six round values."""
        span = self.high - self.low
        step = 10.0 ** math.floor(math.log10(span / 3))
        step *= next(factor for factor in (5, 2, 1) if span / (step * factor) >= 3)
        first = math.ceil(self.low / step - 1e-9)
        return [
            round(n * step, 12) for n in range(first, first + 12) if self.low <= n * step <= self.high + 1e-12
        ]


def interval(
    axis: Axis,
    value: float | None,
    ends: Sequence[float] | None = None,
    each: Sequence[float] = (),
    spread: float | None = None,
    style: str = "",
    zero: bool = False,
) -> str:
    """A value with its interval.

    Args:
        axis: Shared with the other rows.
        value: The point; None: an empty drawing with the grid.
        ends: Interval (low, high), as a thick faint line.
        each: Single values, as circles.
        spread: Standard deviation, as a thin line on both sides of the value.
        style: Further classes.
        zero: Whether a line marks 0.
    """
    parts = [_line("grid", axis, tick, tick, 0, 24) for tick in axis.ticks()]
    if zero:
        parts.append(_line("zero", axis, 0.0, 0.0, 0, 24))
    said = ""
    if value is not None and math.isfinite(value) and not axis.low <= value <= axis.high:
        said = f"{figure_words(value)}, beyond this axis"
        below = value < axis.low
        parts.append(
            f'<text class="beyond {"left" if below else "right"}" x="{0 if below else 100}%" y="17">'
            f"{'◂' if below else '▸'}</text>"
        )
    elif value is not None and math.isfinite(value):
        said = figure_words(value)
        if ends is not None and all(map(math.isfinite, ends)):
            parts.append(_line("whisker", axis, ends[0], ends[1], 12, 12))
            said += f", 95% interval {figure_words(ends[0])} to {figure_words(ends[1])}"
        if spread is not None and math.isfinite(spread):
            parts.append(_line("spread", axis, value - spread, value + spread, 12, 12))
            said += f", deviation {figure_words(spread)}"
        parts += [f'<circle class="each" cx="{axis.place(one)}" cy="12" r="3.2"/>' for one in each]
        parts.append(f'<circle class="dot" cx="{axis.place(value)}" cy="12" r="4.6"/>')
    label = f'role="img" aria-label="{said}"' if said else 'aria-hidden="true"'
    return f'<svg class="interval {style}" height="24" {label}>{"".join(parts)}</svg>'


def labels(axis: Axis) -> str:
    """The values of the axis, for a row below the drawings."""
    words = "".join(f'<text x="{axis.place(tick)}" y="11">{tick:g}</text>' for tick in axis.ticks())
    return f'<svg class="interval" height="14" aria-hidden="true">{words}</svg>'


def _line(name: str, axis: Axis, first: float, last: float, top: int, bottom: int) -> str:
    return f'<line class="{name}" x1="{axis.place(first)}" x2="{axis.place(last)}" y1="{top}" y2="{bottom}"/>'
