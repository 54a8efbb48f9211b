"""One row of the list: what the small files of a run folder say, each read again only when it has changed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mmdl.review.model import STATES
from mmdl.review.serve.config_facts import ConfigFacts, config_facts
from mmdl.review.serve.finding import Stamp
from mmdl.review.serve.monitored import Monitored
from mmdl.review.serve.progress import Tail, number, progress_of, read_tail, whole
from mmdl.runs.alive import is_alive

Row = dict[str, Any]

LONGEST = 300
"""Characters of a text of a run in the list."""

LARGEST = 32 << 20
"""Bytes of a small file that is read."""

SILENT_S = 900.0
"""A running run that has written nothing for so long may have died on another machine."""


class RunRow:
    """Makes the row of one run folder, again and again.

    Args:
        path: The run folder.
        run_id: Its id in the list.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        self.path = path
        self.id = run_id
        self._files: dict[str, Stamp] = {}
        self._held: dict[str, tuple[Stamp, Any, str]] = {}
        self._monitored: Monitored | None = None
        self._row: Row | None = None

    def row(self, files: Mapping[str, Stamp], now: float | None = None) -> Row:
        """The row, from the present state of the files.

        Args:
            files: State of the folder's files, by name.
            now: Seconds since 1970.

        Returns:
            Plain JSON. The same object as before where nothing has changed.
        """
        now = time.time() if now is None else now
        if self._row is not None and files == self._files and self._row["state"] != "running":
            return self._row
        made = self._made(files, now)
        self._files = dict(files)
        if made != self._row:
            self._row = made
        return self._row

    def _made(self, files: Mapping[str, Stamp], now: float) -> Row:
        gaps: list[str] = []
        config: ConfigFacts = self._read(files, "config.yaml", config_facts, ConfigFacts(), gaps)
        status = self._read(files, "status.json", _mapping, {}, gaps)
        manifest = self._read(files, "manifest.json", _mapping, {}, gaps)
        written = self._read(files, "progress.json", _mapping, {}, gaps, wanted=False)
        state = state_of(status)
        finished = state == "finished"
        summary = self._read(files, "summary.json", _mapping, {}, gaps, wanted=finished)
        if config.damaged and "config.yaml" in files:
            gaps.append("config.yaml is damaged")
        metrics = files.get("metrics.jsonl")
        if metrics is None:
            gaps.append("metrics.jsonl is missing")
        tail = Tail()
        if metrics is not None and not finished:
            tail = self._piece("metrics.jsonl", metrics, lambda: read_tail(self.path / "metrics.jsonl"))
        progress = progress_of(written, tail, config.max_steps, config.max_epochs, finished)
        monitor = _text(status.get("monitor")) or config.monitor
        figures = self._figures(monitor, config.mode, summary, metrics, finished)
        if figures.pop("not_numbers"):
            gaps.append(f"{monitor} is not a number")
        updated = max((stamp.modified_ns for stamp in files.values()), default=0) / 1e9
        started = _when(manifest.get("started"))
        presets = status.get("presets") if isinstance(status.get("presets"), dict) else {}
        return {
            "id": self.id,
            "name": _text(status.get("name")) or config.name,
            "state": state,
            "seed": config.seed,
            "data": _text(presets.get("data")) or config.data,
            "model": _text(presets.get("model")) or config.model,
            "task": config.task,
            "tags": [_text(tag) for tag in config.tags][:20],
            "monitor": monitor,
            "mode": config.mode,
            **figures,
            **progress._asdict(),
            "started": started,
            "updated": round(updated, 1),
            "seconds": _seconds(summary, status, started, updated) if state != "running" else None,
            "silent": state == "running" and now - updated > SILENT_S,
            "host": _text(status.get("host")),
            "error": _text(status.get("error")),
            "gaps": gaps,
        }

    def _read(
        self,
        files: Mapping[str, Stamp],
        name: str,
        parse: Callable[[str], Any],
        otherwise: Any,
        gaps: list[str],
        wanted: bool = True,
    ) -> Any:
        stamp = files.get(name)
        if stamp is None:
            if wanted:
                gaps.append(f"{name} is missing")
            return otherwise
        held = self._held.get(name)
        if held is None or held[0] != stamp:
            found, gap = otherwise, ""
            try:
                if stamp.size > LARGEST:
                    raise ValueError
                found = parse((self.path / name).read_text(encoding="utf-8", errors="replace"))
            except OSError as error:
                gap = f"{name} can't be read: {error.strerror}"
            except (ValueError, RecursionError):
                gap = f"{name} is damaged"
            held = self._held[name] = (stamp, found, gap)
        if held[2]:
            gaps.append(held[2])
        return held[1]

    def _piece(self, name: str, stamp: Stamp, make: Callable[[], Any]) -> Any:
        held = self._held.get(name)
        if held is None or held[0] != stamp:
            held = self._held[name] = (stamp, make(), "")
        return held[1]

    def _figures(
        self, monitor: str, mode: str, summary: Mapping[str, Any], metrics: Stamp | None, finished: bool
    ) -> Row:
        """The figure of the test where there is one, the best and the last of validation."""
        best, last, n, not_numbers = figure(summary.get(f"best/{monitor}"))["value"], None, None, 0
        if monitor and metrics is not None and not (finished and best is not None):
            follow = self._monitored
            if follow is None or (follow.name, follow.mode) != (monitor, mode):
                follow = self._monitored = Monitored(self.path / "metrics.jsonl", monitor, mode)
            follow.update(metrics)
            best, n = (follow.best, follow.n) if best is None else (best, None)
            last, not_numbers = follow.last, follow.not_numbers if follow.best is None else 0
        test = monitor.replace("val/", "test/", 1)
        for name in (test, monitor):
            found = figure(summary.get(name))
            if name and found["value"] is not None:
                return {"metric": name, **found, "best": best, "last": last, "not_numbers": not_numbers}
        so_far = figure({"value": best, "n": n})
        return {"metric": monitor, **so_far, "best": best, "last": last, "not_numbers": not_numbers}


def state_of(status: Mapping[str, Any]) -> str:
    """One of `STATES`: `killed` is a run that says `running` and whose process is no more."""
    state = str(status.get("status", "unknown"))
    if state == "running" and not is_alive(status):
        return "killed"
    return state if state in STATES else "unknown"


def figure(value: Any) -> Row:
    """A figure of `summary.json`: value, n, and interval; runs of older versions have plain numbers."""
    held = value if isinstance(value, Mapping) else {"value": value}
    ends = held.get("ci95")
    low, high = (number(end) for end in ends) if isinstance(ends, list) and len(ends) == 2 else (None, None)
    if low is None or high is None:
        low = high = None
    return {"value": number(held.get("value")), "n": whole(held.get("n")), "low": low, "high": high}


def _mapping(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:LONGEST]


def _when(value: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError):
        return None


def _seconds(
    summary: Mapping[str, Any], status: Mapping[str, Any], started: float | None, updated: float
) -> float | None:
    """How long it took: as it was measured, else from its start to its last word."""
    measured = figure(summary.get("time/wall_s"))["value"]
    if measured is not None:
        return measured
    end = number(status.get("time")) if status.get("status") != "running" else None
    end = updated if end is None else end
    return None if started is None or end < started else round(end - started, 1)
