"""The end of a sweep: its trials by the figure that validation chose by, and the test figure of the best one, once."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from mmdl.runs.durations import duration
from mmdl.runs.folder import RunFolder
from mmdl.runs.redact import redact_argument
from mmdl.runs.seeds import SeedGroup
from mmdl.runs.sweeps import runs_of
from mmdl.sweeps.progress import figure_of
from mmdl.sweeps.record import Sweep, Trial, short

MOST_ROWS = 40


class Row(NamedTuple):
    """The trials of one configuration, which differ in their seed only.

    Attributes:
        overrides: Without the seed.
        trials: All of them.
        group: Those with a value; None where there is none.
    """

    overrides: tuple[str, ...]
    trials: list[Trial]
    group: SeedGroup | None

    @property
    def state(self) -> str:
        """The states of its trials that are not simply finished."""
        states = [trial.state for trial in self.trials]
        others = {state: states.count(state) for state in dict.fromkeys(states) if state != "finished"}
        return ", ".join(state if len(states) == 1 else f"{count} {state}" for state, count in others.items())


def rows_of(sweep: Sweep) -> list[Row]:
    """The configurations of a sweep, the best on validation first, those without a figure last.

    Args:
        sweep: The sweep.
    """
    found: dict[tuple[str, ...], list[Trial]] = {}
    for trial in sweep.trials:
        if trial.same_as is None:
            key = tuple(word for word in trial.overrides if not word.startswith("seed="))
            found.setdefault(key, []).append(trial)
    rows = [Row(key, trials, _group(sweep, trials)) for key, trials in found.items()]
    sign = -1.0 if sweep.mode == "max" else 1.0

    def order(row: Row) -> tuple[int, float]:
        # What was pruned has an unfinished value: it is no candidate.
        over = any(trial.state == "finished" for trial in row.trials)
        return (0 if over else 1 if row.group else 2, sign * row.group.mean if row.group else 0.0)

    return sorted(rows, key=order)


def _group(sweep: Sweep, trials: Sequence[Trial]) -> SeedGroup | None:
    kept = [t for t in trials if t.state == "finished" and t.value is not None]
    kept = kept or [t for t in trials if t.state == "pruned" and t.value is not None]
    if not kept:
        return None
    seeds = [_seed(trial) for trial in kept]
    values = [t.value for t in kept if t.value is not None]
    return SeedGroup(sweep.name, [t.run for t in kept], seeds, sweep.monitor, values)


def _seed(trial: Trial) -> int:
    found = [word.partition("=")[2] for word in trial.overrides if word.startswith("seed=")]
    return int(found[0]) if found and found[0].lstrip("-").isdigit() else 0


def report(sweep: Sweep, command: Sequence[str], notes: Sequence[str]) -> str:
    """The table, the best configuration with its test figure, and the next commands.

    Args:
        sweep: Its trials as they are now.
        command: Words that train an experiment as its trials do, without their overrides.
        notes: What the method has to say.
    """
    rows = rows_of(sweep)
    lines = [*_table(sweep, rows), ""]
    finished = [row for row in rows if row.group and any(t.state == "finished" for t in row.trials)]
    if finished and finished[0].group is not None:
        lines += _best(sweep, finished[0], finished[0].group, command)
    lines += notes
    root = "" if str(_shown_root(sweep)) == "runs" else f" --root {_shown_root(sweep)}"
    lines.append(f"compare      python -m mmdl review {sweep.name}{root}")
    return "\n".join(lines)


def _shown_root(sweep: Sweep) -> str:
    given = [word.partition("=")[2] for word in sweep.command if word.startswith("run.root=")]
    return given[-1] if given else "runs"


def _table(sweep: Sweep, rows: Sequence[Row]) -> list[str]:
    keys = [override.partition("=")[0] for override in rows[0].overrides] if rows else []
    folded = any(len(row.trials) > 1 for row in rows)
    header = ["runs" if folded else "run", *(key.lstrip("+") for key in keys), sweep.monitor]
    header += ["seeds"] if folded else []
    header += ["time", ""]
    cells = []
    for row in rows[:MOST_ROWS]:
        seconds = [trial.seconds for trial in row.trials if trial.seconds]
        line = [_names(row), *(short(o).partition("=")[2] for o in row.overrides), _value(row.group)]
        line += [str(len(row.group.values) if row.group else 0)] if folded else []
        cells.append([*line, duration(statistics.fmean(seconds)) if seconds else "", row.state])
    widths = [max(len(line[column]) for line in [header, *cells]) for column in range(len(header))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in [header, *cells]
    ]
    return lines + ([f"and {len(rows) - MOST_ROWS} more in sweep.json"] if len(rows) > MOST_ROWS else [])


def _names(row: Row) -> str:
    return (
        row.trials[0].run
        if len(row.trials) == 1
        else " ".join(t.run for t in row.trials[:3])
        + (f" and {len(row.trials) - 3} more" if len(row.trials) > 3 else "")
    )


def _value(group: SeedGroup | None) -> str:
    if group is None:
        return ""
    spread = f" +- {group.deviation:.4f}" if len(group.values) > 1 else ""
    return f"{group.mean:.4f}{spread}"


def _best(sweep: Sweep, row: Row, group: SeedGroup, command: Sequence[str]) -> list[str]:
    settings = " ".join(short(override) for override in row.overrides) or "as it is"
    lines = [f"best         {settings}: {sweep.monitor} {_value(group)}"]
    name = sweep.monitor.replace("val/", "test/", 1)
    runs = [RunFolder(runs_of(sweep.folder), run) for run in group.runs]
    tests = [(value, ci) for value, ci in (figure_of(run, name) for run in runs) if value is not None]
    if name != sweep.monitor and tests:
        tested = SeedGroup(sweep.name, [], [], name, [value for value, _ in tests])
        interval = tests[0][1]
        if len(tests) == 1 and interval:
            tail = f" (95% interval {interval[0]:.4f} to {interval[1]:.4f})"
        else:
            tail = f" ({len(tests)} seeds)" if len(tests) > 1 else ""
        lines.append(
            f"test         {name} {_value(tested)}{tail}, of this one only: validation has chosen it"
        )
    words = [*command, *row.overrides]
    if group.runs and any(word.startswith("seed=") for word in row.trials[0].overrides):
        words.append(f"seed={group.seeds[0]}")
    lines.append(
        f"train it     {shlex.join(['python', '-m', 'mmdl', 'train', *map(redact_argument, words)])}"
    )
    return lines
