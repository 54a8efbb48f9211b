"""The curves of `metrics.jsonl`: read fast, again only what was appended, and thinned so that peaks stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdl.review.model import Curve

OWN = ("step", "time")
"""Keys of a line that are no quantity."""


class CurveReader:
    """Reads the curves of one run, and on the next call only what was appended since.

    Args:
        path: `metrics.jsonl`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        """Whole lines that could not be read so far; a last line without its end is not one."""
        self._offset = 0
        self._rows: dict[str, tuple[list[int], list[float], list[float]]] = {}

    def read(self) -> dict[str, Curve]:
        """Curves by name; without a file, none."""
        try:
            size = self.path.stat().st_size
            if size < self._offset:  # a run that was continued has dropped what came after its checkpoint
                self._offset, self._rows, self.damaged = 0, {}, 0
            with self.path.open("rb") as handle:
                handle.seek(self._offset)
                content = handle.read()
        except OSError:
            return {}
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._take(line)
        return {
            name: Curve(
                np.asarray(steps, dtype=np.int64),
                np.asarray(values, dtype=np.float64),
                np.asarray(times, dtype=np.float64),
            )
            for name, (steps, values, times) in self._rows.items()
        }

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            step, when = int(row.get("step") or 0), float(row.get("time") or 0.0)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            self.damaged += 1
            return
        for name, value in row.items():
            number = _number(value) if name not in OWN else None
            if number is not None:
                steps, values, times = self._rows.setdefault(name, ([], [], []))
                steps.append(step)
                values.append(number)
                times.append(when)


def _number(value: Any) -> float | None:
    """A value of a line; `"nan"` and `"inf"` stand as text in it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def thinned(curve: Curve, points: int) -> Curve:
    """At most so many points of a curve, with the least and the greatest value of each stretch of it.

    Args:
        curve: With P points.
        points: At least 4.

    Returns:
        The curve itself where it has no more points. First and last point stay, and so does the first point that is not
        finite of each stretch.
    """
    count = len(curve.steps)
    if count <= points:
        return curve
    edges = np.linspace(0, count, max(2, points // 3) + 1).astype(np.int64)
    kept: list[NDArray[np.int64]] = [np.array([0, count - 1])]
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = curve.values[start:stop]
        finite = np.isfinite(part)
        if finite.any():
            low, high = np.where(finite, part, np.inf).argmin(), np.where(finite, part, -np.inf).argmax()
            kept.append(np.array([start + low, start + high]))
        if not finite.all():
            kept.append(np.array([start + (~finite).argmax()]))
    chosen = np.unique(np.concatenate(kept))
    return Curve(curve.steps[chosen], curve.values[chosen], curve.times[chosen])
