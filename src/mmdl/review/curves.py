"""The curves of `metrics.jsonl`: read fast, again only what was appended, and thinned so that peaks stay."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmdl.review.curve_lines import OWN, parsed
from mmdl.review.model import Curve

__all__ = ["OWN", "CurveReader", "represented_means", "thinned"]

T = TypeVar("T", bound=np.generic)

CHUNK = 1 << 20
"""Bytes that are read at a time: what is not regular in one of them makes only that one slow."""

REMEMBERED = 256
"""Bytes before the place where reading goes on; where they have changed, so may all before them."""


class CurveReader:
    """Reads the curves of one run, and on the next call only what was appended since.

    Args:
        path: `metrics.jsonl`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()

    def _forget(self) -> None:
        self.damaged = 0
        """Whole lines that could not be read so far; a last line without its end is not one."""
        self._offset, self._inode, self._before = 0, 0, b""
        self._count = 0
        self._steps: list[NDArray[np.int64]] = []
        self._times: list[NDArray[np.float64]] = []
        self._columns: dict[str, tuple[list[NDArray[np.int32]], list[NDArray[np.float64]]]] = {}

    @property
    def size(self) -> int:
        """Bytes in memory."""
        columns = sum(part.nbytes for pair in self._columns.values() for parts in pair for part in parts)
        return columns + sum(part.nbytes for part in (*self._steps, *self._times))

    def read(self) -> dict[str, Curve]:
        """Curves by name; without a file, none."""
        self.update()
        return {name: self.curve(name) for name in self._columns}

    @property
    def start(self) -> float | None:
        """Seconds since 1970 of the first line."""
        first = float(self._times[0][0]) if self._count else 0.0
        return first if first > 0 else None

    def update(self) -> list[str]:
        """Read what is new.

        Returns:
            Names of all curves.
        """
        try:
            with self.path.open("rb") as handle:
                self._go_on(handle)
        except OSError:
            self._forget()
        return list(self._columns)

    def _go_on(self, handle: BinaryIO) -> None:
        state = os.fstat(handle.fileno())
        handle.seek(max(0, self._offset - REMEMBERED))
        # A run that was continued has dropped what came after its checkpoint, and may have logged more since.
        if (
            state.st_ino != self._inode
            or state.st_size < self._offset
            or handle.read(len(self._before)) != self._before
        ):
            self._forget()
        self._inode = state.st_ino
        handle.seek(self._offset)
        rest = b""
        while new := handle.read(CHUNK):
            whole, end, cut = (rest + new).rpartition(b"\n")
            rest = cut
            if end:
                self._take(whole + end)

    def _take(self, content: bytes) -> None:
        self._offset += len(content)
        self._before = (self._before + content)[-min(REMEMBERED, self._offset) :]
        lines = parsed(content)
        self.damaged += lines.damaged
        for name, (rows, values) in lines.columns.items():
            held = self._columns.setdefault(name, ([], []))
            held[0].append(rows + np.int32(self._count))
            held[1].append(values)
        if len(lines.steps):
            self._steps.append(lines.steps)
            self._times.append(lines.times)
        self._count += len(lines.steps)

    def curve(self, name: str) -> Curve:
        """One of the curves that the last update has found."""
        rows, values = (_joined(parts) for parts in self._columns[name])
        steps, times = _joined(self._steps)[rows], _joined(self._times)[rows]
        if (steps[1:] < steps[:-1]).any():
            order = np.argsort(steps, kind="stable")
            steps, values, times = steps[order], values[order], times[order]
        return Curve(steps, values, times)


def _joined(parts: list[NDArray[T]]) -> NDArray[T]:
    """The parts as one array, which takes their place."""
    if len(parts) > 1:
        parts[:] = [np.concatenate(parts)]
    return parts[0]


def thinned(curve: Curve, points: int) -> Curve:
    """At most so many points of a curve, with the least and the greatest value of each stretch of it.

    Args:
        curve: With P points.
        points: At least 8.

    Returns:
        The curve itself where it has no more points. First and last point stay, and so does the first point that is not
        finite of each stretch.
    """
    count = len(curve.steps)
    if count <= points:
        return curve
    stretches = max(2, (points - 2) // 3)
    length = -(-count // stretches)
    values = np.full(length * stretches, np.nan)
    values[:count] = curve.values
    table = values.reshape(stretches, length)
    finite = np.isfinite(table)
    begins = np.arange(stretches) * length
    some = finite.any(axis=1)
    low = (np.where(finite, table, np.inf).argmin(axis=1) + begins)[some]
    high = (np.where(finite, table, -np.inf).argmax(axis=1) + begins)[some]
    odd = (begins + (~finite).argmax(axis=1))[~finite.all(axis=1)]
    chosen = np.unique(np.concatenate([[0, count - 1], low, high, odd[odd < count]]))
    return Curve(curve.steps[chosen], curve.values[chosen], curve.times[chosen])


def represented_means(curve: Curve, small: Curve) -> NDArray[np.float64]:
    """What smoothing takes where a curve was thinned, so that the peaks that were kept don't pull its line.

    Args:
        curve: All P points.
        small: Q of them.

    Returns:
        `(Q,)` mean of the finite points that each kept point stands for: those since the one before it. Where none is
        finite, its own value.
    """
    ends = np.searchsorted(curve.steps, small.steps, side="right")
    starts = np.concatenate([[0], ends[:-1]])
    finite = np.isfinite(curve.values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, curve.values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    number = counts[ends] - counts[starts]
    return np.where(number > 0, (sums[ends] - sums[starts]) / np.maximum(number, 1), small.values)
