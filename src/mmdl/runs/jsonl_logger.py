"""The metrics of a run on disk first: one JSON object a line, flushed line by line, so that it survives SIGKILL."""

from __future__ import annotations

import json
import math
import time
from argparse import Namespace
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from mmdl.runs.files import write_text, writing


class JsonlLogger(Logger):
    """Lightning logger that appends `{"step", "time", name: value, ...}` to a file.

    Where figures of the row were taken over a known number of samples it has these as `"n": {name: count}`.

    Args:
        path: `metrics.jsonl` of the run folder.

    Attributes:
        counts: Over how many samples a figure that is logged next was taken, by its name.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = Path(path)
        self.counts: dict[str, int] = {}
        self._handle: TextIO | None = None

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "jsonl"

    @property
    def version(self) -> str:
        """The run's id."""
        return self.path.parent.name

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append one line; a value that is not finite is written as a string, which keeps the line valid JSON.

        Raises:
            WriteError: if it can't be written.
        """
        line: dict[str, Any] = {"step": step, "time": round(time.time(), 3)}
        for name, value in metrics.items():
            number = float(value)
            line[name] = number if math.isfinite(number) else str(number)
        counts = {name: self.counts[name] for name in metrics if name in self.counts}
        if counts:
            line["n"] = counts
        with writing(self.path):
            if self._handle is None:
                self._handle = self.path.open("a", encoding="utf-8")
            self._handle.write(json.dumps(line) + "\n")
            self._handle.flush()

    def size(self) -> int:
        """Bytes that were written so far."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def rewind(self, size: int) -> None:
        """Drop what was written after the file had so many bytes, and a line that was cut off."""
        if not self.path.is_file():
            return
        if self._handle is not None:
            self._handle.close()
            self._handle = None
        kept = self.path.read_bytes()[:size]
        kept = kept[: kept.rfind(b"\n") + 1]
        if len(kept) < self.size():
            write_text(self.path, kept.decode("utf-8", errors="replace"))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the file; the next line opens it again."""
        handle, self._handle = self._handle, None
        if handle is not None:
            # Closing tries again to write a line that could not be written, which was said.
            with suppress(OSError):
                handle.close()


def note_counts(loggers: Iterable[Any], counts: Mapping[str, int]) -> None:
    """Say over how many samples figures were taken, before they are logged: to `metrics.jsonl` and W&B.

    Args:
        loggers: Of the run.
        counts: By full name.
    """
    for logger in loggers:
        if hasattr(logger, "counts"):
            logger.counts |= counts


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a metrics file; a last line that was cut off is left out."""
    rows: list[dict[str, Any]] = []
    if not path.is_file():
        return rows
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows
