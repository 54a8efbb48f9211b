"""The list of all runs under a root, kept up to date: what has changed since a version costs a few milliseconds."""

from __future__ import annotations

import secrets
import stat
import threading
import time
from pathlib import Path
from typing import Any

from mmdl.review.serve.finding import find_runs
from mmdl.review.serve.row import Row, RunRow

FRESH_S = 0.5
"""A list that is so young serves further readers too."""


class Listing:
    """Rows of all runs; safe for several threads.

    Args:
        root: Folder of all runs.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.version = 0
        """Counts the refreshes that have changed something."""
        self._own = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._makers: dict[str, RunRow] = {}
        self._rows: dict[str, tuple[Row, int]] = {}
        self._gone: dict[str, int] = {}
        self._notes: list[str] = []
        self._at = float("-inf")

    @property
    def tag(self) -> str:
        """Names the present version, and this server."""
        return f"{self._own}-{self.version}"

    def refresh(self, at_once: bool = False) -> None:
        """Look at all folders.

        Args:
            at_once: Even if that was done just now.
        """
        with self._lock:
            if time.monotonic() - self._at < FRESH_S and not at_once:
                return
            self._refresh()
            self._at = time.monotonic()

    def _refresh(self) -> None:
        found, now = find_runs(self.root), time.time()
        version, changed = self.version + 1, found.notes != self._notes
        self._notes = found.notes
        for run_id in [run_id for run_id in self._rows if run_id not in found.runs]:
            del self._rows[run_id], self._makers[run_id]
            self._gone[run_id], changed = version, True
        for run_id, files in found.runs.items():
            maker = self._makers.get(run_id)
            if maker is None:
                maker = self._makers[run_id] = RunRow(self.root / run_id, run_id)
                self._gone.pop(run_id, None)
            row = maker.row(files, now)
            held = self._rows.get(run_id)
            if held is None or held[0] is not row:
                self._rows[run_id], changed = (row, version), True
        if changed:
            self.version = version

    def since(self, tag: str = "") -> dict[str, Any]:
        """What has changed since a version.

        Args:
            tag: Of the version that the reader has; of another server, or empty: everything is new.

        Returns:
            `tag`, `whole` (whether these are all rows), `rows`, ids that are `gone`, `notes`, and the time `now`.
        """
        with self._lock:
            own, _, number = tag.partition("-")
            known = int(number) if own == self._own and number.isdigit() else 0
            known = known if known <= self.version else 0
            return {
                "tag": self.tag,
                "whole": known == 0,
                "rows": [row for row, version in self._rows.values() if version > known],
                "gone": [run_id for run_id, version in self._gone.items() if version > known]
                if known
                else [],
                "notes": self._notes,
                "now": round(time.time(), 1),
            }

    def monitor(self, run_id: str) -> str:
        """Name of the figure that chooses the weights of a run; empty where it is not known."""
        with self._lock:
            held = self._rows.get(run_id)
        return str(held[0]["monitor"]) if held else ""

    def metrics(self, run_id: str) -> Path | None:
        """The `metrics.jsonl` of a run on the list; None where it has none, or a link or pipe in its place."""
        folder = self.folder(run_id)
        if folder is None:
            return None
        path = folder / "metrics.jsonl"
        try:
            return path if stat.S_ISREG(path.lstat().st_mode) else None
        except OSError:
            return None

    def folder(self, run_id: str) -> Path | None:
        """The folder of a run that is on the list; None for any other text, whatever it is."""
        with self._lock:
            known = run_id in self._rows
        if not known:
            self.refresh(at_once=True)
            with self._lock:
                known = run_id in self._rows
        folder = self.root / run_id
        return folder if known and folder.resolve() == folder else None  # a link may have taken its place
