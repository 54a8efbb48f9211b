"""How far the run of a trial is, read from its folder."""

from __future__ import annotations

import json
import math
from contextlib import suppress

from mmdl.runs.folder import RunFolder


def monitored(run: RunFolder, name: str) -> list[float]:
    """The monitored figure at each validation so far; those that are no number are left out.

    Args:
        run: Its folder, perhaps not there yet.
        name: Such as `val/accuracy`.
    """
    found: list[float] = []
    try:
        lines = run.metrics_file.read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        if name.encode() not in line:
            continue
        with suppress(TypeError, ValueError, KeyError):  # a line that is being written
            value = float(json.loads(line)[name])
            if math.isfinite(value):
                found.append(value)
    return found


def chosen_value(run: RunFolder, monitor: str) -> float | None:
    """The validation figure of the weights that a finished run has kept; None where it has none.

    Args:
        run: Its folder.
        monitor: Name of the figure.
    """
    return figure_of(run, f"best/{monitor}", monitor)[0]


def figure_of(run: RunFolder, *names: str) -> tuple[float | None, list[float] | None]:
    """The first figure of a run's summary that there is, with its interval.

    Args:
        run: Its folder.
        names: Full names.
    """
    try:
        summary = run.read_summary()
    except (OSError, ValueError):
        return None, None
    for name in names:
        figure = summary.get(name)
        if isinstance(figure, dict):
            value = figure.get("value")
            if isinstance(value, int | float) and math.isfinite(value):
                return float(value), figure.get("ci95")
    return None, None
