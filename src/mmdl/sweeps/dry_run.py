"""What a sweep would train."""

from __future__ import annotations

from mmdl.sweeps.opening import OpenedSweep
from mmdl.sweeps.record import Trial


def dry_run_lines(opened: OpenedSweep) -> list[str]:
    """What would be trained.

    Args:
        opened: The sweep.
    """
    sweep, method = opened.sweep, opened.method
    lines = [f"sweep {sweep.name} ({method.method}), chosen by {sweep.monitor} ({sweep.mode})"]
    if method.method == "grid":
        begun = any(trial.attempts for trial in sweep.trials)
        cells = [
            (t.run, (t.state if t.attempts else "waiting") if begun else "", t.shown) for t in sweep.trials
        ]
        widths = [max(len(cell[column]) for cell in cells) for column in (0, 1)]
        lines += [
            "  ".join(["", run.ljust(widths[0]), *([state.ljust(widths[1])] if begun else []), shown])
            for run, state, shown in cells
        ]
    else:
        lines += [f"  {dimension.name}={dimension.text}" for dimension in opened.space]
    lines.append(f"{method.total(sweep)} trials; each is: python -m mmdl {' '.join(_example(opened))}")
    return lines


def _example(opened: OpenedSweep) -> list[str]:
    trial = Trial(1, f"{opened.sweep.name}-1", [dimension.first for dimension in opened.space])
    return opened.words(trial)
