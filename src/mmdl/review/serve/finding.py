"""Finds the run folders below a root, however deep: runs, arms of studies, runs of sweeps."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

FILES = ("config.yaml", "status.json", "summary.json", "manifest.json", "progress.json", "metrics.jsonl")
"""Small files that say what a run is, and the one that grows."""

SIGNS = frozenset({"config.yaml", "status.json", "metrics.jsonl"})
"""A folder with one of them is a run."""

INSIDE_RUNS = ("arms", "trials", "runs")
"""Folders inside a run folder that may hold runs themselves."""

PASSED_OVER = frozenset(("wandb", "checkpoints", "evaluation", "predictions", "media", "lightning_logs"))
DEEPEST = 5
MOST = 50_000
"""Folders that are looked at, at most: a root may have been given by mistake."""


class Stamp(NamedTuple):
    """A file's state: while it stays, so does the content."""

    modified_ns: int
    size: int
    inode: int


@dataclass
class Found:
    """The run folders below a root.

    Attributes:
        runs: Id (the path below the root, with slashes) -> state of its files, by name.
        notes: One sentence for each thing that was left out.
    """

    runs: dict[str, dict[str, Stamp]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find_runs(root: Path) -> Found:
    """Look at a folder and what lies below it; links are not followed, so nothing outside is ever read.

    Args:
        root: Folder of all runs.
    """
    found = Found()
    left = MOST
    waiting: list[tuple[str, int]] = [("", 0)]
    while waiting:
        below, depth = waiting.pop()
        left -= 1
        if left < 0:
            found.notes.append(f"more than {MOST:,} folders: the others are left out")
            break
        try:
            with os.scandir(root / below) as entries:
                held = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            found.notes.append(f"{below or root} can't be read: {error.strerror}")
            continue
        names = {entry.name for entry in held}
        is_run = bool(below) and bool(names & SIGNS)
        if is_run:
            found.runs[below] = _stamps(held, below, found.notes)
        if depth >= DEEPEST:
            continue
        for entry in reversed(held):
            if entry.name not in INSIDE_RUNS if is_run else _is_passed_over(entry.name):
                continue
            path = f"{below}/{entry.name}" if below else entry.name
            try:
                if entry.is_symlink():
                    if entry.is_dir():
                        found.notes.append(f"{ascii(path)[1:-1]} is a link, and links are not followed")
                elif entry.is_dir() and entry.name.isprintable():
                    waiting.append((path, depth + 1))
                elif entry.is_dir():  # no address can hold a name that is no text
                    found.notes.append(f"{path!a} has a name that is no text, and is left out")
            except OSError:
                continue
    return found


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name in PASSED_OVER


def _stamps(entries: list[os.DirEntry[str]], run: str, notes: list[str]) -> dict[str, Stamp]:
    stamps = {}
    for entry in entries:
        if entry.name not in FILES:
            continue
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(state.st_mode):  # a pipe would wait for ever
            stamps[entry.name] = Stamp(state.st_mtime_ns, state.st_size, state.st_ino)
        else:
            notes.append(f"{run}/{entry.name} is no plain file, and is not read")
    return stamps
