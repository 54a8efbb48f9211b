"""What a sweep knows of itself, in `sweep.json`: its definition, and its trials with what has become of them."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mmdl.errors import UserError
from mmdl.runs.files import write_json
from mmdl.runs.sweeps import SWEEP_FILE, TRIAL_STATES, read_sweep

VERSION = 1

LOCK_FILE = ".lock"
"""Held by the process that trains the sweep."""


@dataclass
class Trial:
    """One training of a sweep.

    Attributes:
        number: From 1.
        run: Id of its run.
        overrides: What it sets of the space.
        state: One of `TRIAL_STATES`.
        attempts: How often a process was started for it.
        value: The monitored validation figure that it is chosen by; of a pruned trial, the last one.
        seconds: Of all its processes together.
        pid: Of its process; None where none runs.
        error: Why it failed.
        same_as: Number of an earlier trial with the same overrides, whose run it shares.
    """

    number: int
    run: str
    overrides: list[str]
    state: str = "waiting"
    attempts: int = 0
    value: float | None = None
    seconds: float = 0.0
    pid: int | None = None
    error: str = ""
    same_as: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.state in ("finished", "pruned")

    @property
    def shown(self) -> str:
        """Its overrides on one line, with numbers that can be read."""
        return " ".join(short(override) for override in self.overrides)


def short(override: str) -> str:
    """An override whose number has four digits.

    >>> short("optimizer.lr=0.0031622776601683795"), short("seed=12345"), short("model=cnn")
    ('optimizer.lr=0.003162', 'seed=12345', 'model=cnn')
    """
    key, sign, value = override.partition("=")
    try:
        number = float(value)
    except ValueError:
        return override
    return f"{key}{sign}{number:.4g}" if not value.lstrip("-").isdigit() else override


@dataclass
class Sweep:
    """A sweep and its trials.

    Attributes:
        folder: `runs/sweeps/<name>`.
        name: Its name.
        method: `grid` or `optuna`.
        monitor: The validation figure by which trials are chosen.
        mode: `max` or `min`.
        definition: What must stay the same where it is continued.
        command: Words of `mmdl sweep` that began it.
        cwd: Where it was begun: relative paths mean what they meant there.
        configurations: Run id -> SHA-256 of its composed configuration, where that is known beforehand.
        trials: In the order of their numbers.
        created: Seconds since 1970.
    """

    folder: Path
    name: str
    method: str
    monitor: str
    mode: str
    definition: dict[str, Any]
    command: list[str]
    cwd: str
    configurations: dict[str, str] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    created: float = field(default_factory=time.time)

    def save(self) -> None:
        """Write `sweep.json`, atomically."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("folder", "trials")}
        trials = [asdict(trial) for trial in self.trials]
        write_json(
            self.folder / SWEEP_FILE, {"version": VERSION, **own, "updated": time.time(), "trials": trials}
        )

    def add(self, overrides: list[str]) -> Trial:
        """A further trial, which waits."""
        number = len(self.trials) + 1
        trial = Trial(number, f"{self.name}-{number}", overrides)
        self.trials.append(trial)
        return trial

    def better(self, one: float, other: float) -> bool:
        """Whether one value of the monitored figure is better than another."""
        return one > other if self.mode == "max" else one < other

    def best(self) -> Trial | None:
        """The finished trial with the best value; None while there is none."""
        found: Trial | None = None
        for trial in self.trials:
            if trial.state != "finished" or trial.value is None:
                continue
            if found is None or found.value is None or self.better(trial.value, found.value):
                found = trial
        return found


def load_sweep(folder: Path) -> Sweep:
    """A sweep that was begun.

    Args:
        folder: Its own.

    Raises:
        UserError: if its `sweep.json` can't be read, or is of a later version.
    """
    found = read_sweep(folder)
    if found.get("version") != VERSION:
        raise UserError(
            f"{folder / SWEEP_FILE} has version {found.get('version')}",
            valid=f"version {VERSION}, of this mmdl",
            fix="the mmdl that began the sweep, or another sweep.name",
        )
    try:
        trials = [Trial(**trial) for trial in found["trials"]]
        names = [f.name for f in fields(Sweep) if f.name not in ("folder", "trials")]
        sweep = Sweep(folder=folder, trials=trials, **{name: found[name] for name in names})
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder / SWEEP_FILE} is damaged: {error}", fix="another sweep.name") from error
    for trial in trials:
        if trial.state not in TRIAL_STATES:
            raise UserError(f"{folder / SWEEP_FILE} is damaged: trial {trial.number} is {trial.state!r}")
    return sweep
