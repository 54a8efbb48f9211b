"""Curves of many runs, kept in memory while there is room, and only the new lines read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdl.review.curves import CurveReader, represented_means, thinned
from mmdl.review.model import Curve

ROOM = 512 << 20
"""Bytes of arrays, at most; a run of 10,000 lines with 12 quantities takes 1.6 MB."""

EVENTS = 64
"""A curve with no more points shows each of them."""


class CurveStore:
    """Readers of the runs that were asked for last; safe for several threads.

    Args:
        room: Bytes that all arrays may take.
    """

    def __init__(self, room: int = ROOM) -> None:
        self.room = room
        self._lock = threading.Lock()
        self._held: OrderedDict[Path, tuple[threading.Lock, CurveReader]] = OrderedDict()
        self._sizes: dict[Path, int] = {}

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        with self._lock:
            return sum(self._sizes.values())

    def names(self, path: Path) -> tuple[list[str], int]:
        """Names of the quantities of a run, and how many damaged lines it has.

        Args:
            path: Its `metrics.jsonl`.
        """
        lock, reader = self._reader(path)
        with lock:
            names, damaged, size = reader.update(), reader.damaged, reader.size
        self._make_room(path, size)
        return names, damaged

    def curve(
        self, path: Path, name: str, points: int, low: float | None = None, high: float | None = None
    ) -> dict[str, Any] | None:
        """One curve of a run, for a chart.

        Args:
            path: Its `metrics.jsonl`.
            name: Of the quantity.
            points: How many points it may have.
            low: First step that is wanted; None: from the start.
            high: Last step that is wanted; None: to the end.

        Returns:
            Lists `steps`, `values` (None where not finite), `times`; `start`, the time of the run's first line; `means`
            of what each point stands for where it was thinned; `points`, whether to mark each. None without the curve.
        """
        lock, reader = self._reader(path)
        with lock:
            curve = reader.curve(name) if name in reader.update() else None
            start, size = reader.start, reader.size
        self._make_room(path, size)
        if curve is None:
            return None
        if low is not None or high is not None:
            first = 0 if low is None else max(0, int(np.searchsorted(curve.steps, low)) - 1)
            last = None if high is None else int(np.searchsorted(curve.steps, high, side="right")) + 1
            curve = Curve(curve.steps[first:last], curve.values[first:last], curve.times[first:last])
        small = thinned(curve, points)
        found = {
            "start": start,
            "steps": small.steps.tolist(),
            "values": _finite(small.values),
            "times": np.round(small.times, 1).tolist() if np.isfinite(small.times).all() else [],
            "points": len(small.steps) <= (EVENTS if name.startswith("val/") else 1),
        }
        if small is not curve:
            found["means"] = _finite(represented_means(curve, small))
        return found

    def _reader(self, path: Path) -> tuple[threading.Lock, CurveReader]:
        with self._lock:
            held = self._held.setdefault(path, (threading.Lock(), CurveReader(path)))
            self._held.move_to_end(path)
        return held

    def _make_room(self, path: Path, size: int) -> None:
        """Forget what was not asked for longest; what was asked for now stays, however large."""
        with self._lock:
            if path in self._held:
                self._sizes[path] = size
            while sum(self._sizes.values()) > self.room and len(self._held) > 1:
                oldest = next(other for other in self._held if other != path)
                del self._held[oldest]
                self._sizes.pop(oldest, None)


def _finite(values: NDArray[np.float64]) -> list[float | None]:
    if np.isfinite(values).all():
        found: list[float | None] = values.tolist()
        return found
    return [value if np.isfinite(value) else None for value in values.tolist()]
