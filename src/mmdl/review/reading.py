"""Reads a run folder for people; what is missing or damaged in it becomes a gap that is said."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mmdl.review.model import STATES, Figure, RunView
from mmdl.runs.alive import is_alive

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_run(path: Path) -> RunView:
    """The view of a run folder.

    Args:
        path: The folder; it is only read.

    Returns:
        A view in any case; `gaps` says what could not be had.
    """
    run = RunView(path=path, id=path.name)
    run.config = _mapping(run, "config.yaml", lambda text: yaml.load(text, Loader))
    run.status = _mapping(run, "status.json", json.loads)
    run.manifest = _mapping(run, "manifest.json", json.loads)
    summary = _mapping(run, "summary.json", json.loads, wanted=run.status.get("status") == "finished")
    run.summary = {
        str(name): found for name, value in summary.items() if (found := _figure(value)) is not None
    }
    run.state = _state(run)
    run.name = str(run.status.get("name") or run.config.get("name") or "")
    seed = run.config.get("seed")
    run.seed = seed if isinstance(seed, int) else None
    monitor = run.config.get("monitor")
    monitor = monitor if isinstance(monitor, Mapping) else {}
    run.monitor = str(run.status.get("monitor") or monitor.get("name") or "")
    run.mode = "min" if monitor.get("mode") == "min" else "max"
    run.metric = run.monitor.replace("val/", "test/", 1)
    if run.metric not in run.summary and run.monitor in run.summary:
        run.metric = run.monitor  # data without a test split
    run.command = _command(run)
    return run


def _mapping(run: RunView, name: str, parse: Callable[[str], Any], wanted: bool = True) -> dict[str, Any]:
    path = run.path / name
    try:
        found = parse(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        if wanted:
            run.gaps.append(f"{name} is missing")
        return {}
    except OSError as error:
        run.gaps.append(f"{name} can't be read: {error.strerror}")
        return {}
    except (ValueError, yaml.YAMLError, RecursionError):
        run.gaps.append(f"{name} is damaged")
        return {}
    if not isinstance(found, dict):
        run.gaps.append(f"{name} is damaged")
        return {}
    return found


def _figure(value: Any) -> Figure | None:
    """A figure of `summary.json`; older versions wrote plain numbers."""
    if isinstance(value, Mapping):
        number, n, interval = _number(value.get("value")), value.get("n"), value.get("ci95")
        ends = [_number(end) for end in interval] if isinstance(interval, list) else []
        low_high = (ends[0], ends[1]) if len(ends) == 2 else (None, None)
        ci95 = (low_high[0], low_high[1]) if low_high[0] is not None and low_high[1] is not None else None
        return Figure(number, n if isinstance(n, int) else None, ci95)
    number = _number(value)
    return None if number is None else Figure(number)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _state(run: RunView) -> str:
    state = str(run.status.get("status", "unknown"))
    if state == "running" and not is_alive(run.status):
        return "killed"
    return state if state in STATES else "unknown"


def _command(run: RunView) -> str:
    """The words that began the run, as `python -m mmdl ...`, with its seed."""
    words = run.manifest.get("command")
    if not isinstance(words, list) or len(words) < 2:
        return ""
    rest = [str(word) for word in words[1:]]
    return shlex.join(["python", "-m", "mmdl", *rest])
