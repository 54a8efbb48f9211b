"""The monitored figure of a run that has no summary yet: only lines that have it are parsed, and only new ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

from mmdl.review.serve.finding import Stamp
from mmdl.review.serve.progress import whole

CHUNK = 4 << 20


class Monitored:
    """Follows one figure of `metrics.jsonl`.

    Args:
        path: The file.
        name: Full name of the figure.
        mode: `max` or `min`.
    """

    def __init__(self, path: Path, name: str, mode: str) -> None:
        self.path = path
        self.name = name
        self.mode = mode
        self.best: float | None = None
        self.last: float | None = None
        self.n: int | None = None
        """Samples that the best value was taken over, where the line says it."""
        self.not_numbers = 0
        """Values that are not finite."""
        self._stamp = Stamp(0, 0, 0)
        self._offset = 0

    def update(self, stamp: Stamp) -> None:
        """Read what was appended since; a file that was cut or replaced is read from the start."""
        if stamp == self._stamp:
            return
        if stamp.inode != self._stamp.inode or stamp.size < self._offset:
            self._offset, self.best, self.last, self.n, self.not_numbers = 0, None, None, None, 0
        self._stamp = stamp
        key = json.dumps(self.name).encode()
        try:
            with self.path.open("rb") as handle:
                handle.seek(self._offset)
                rest = b""
                while new := handle.read(CHUNK):
                    content = rest + new if rest else new
                    end = content.rfind(b"\n") + 1
                    self._offset += end
                    self._take(content, end, key)
                    rest = content[end:]
        except OSError:
            return

    def _take(self, content: bytes, stop: int, key: bytes) -> None:
        place = content.find(key, 0, stop)
        while place >= 0:
            end = content.index(b"\n", place)
            self._take_line(content[content.rfind(b"\n", 0, place) + 1 : end])
            place = content.find(key, end, stop)

    def _take_line(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            value = float(row[self.name])
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return
        if not math.isfinite(value):
            self.not_numbers += 1
            return
        self.last = value
        if self.best is None or (value < self.best if self.mode == "min" else value > self.best):
            counts = row.get("n")
            self.best, self.n = value, whole(counts.get(self.name)) if isinstance(counts, dict) else None
