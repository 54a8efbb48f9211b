"""What W&B shows for a curve in its table of runs: the best value of a score, not the last one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from mmdl.runs.logged import quantity
from mmdl.runs.rewound_trackers import NOT_LOGGED

STEP = "trainer/global_step"
"""The value that is the horizontal axis of all curves; W&B drops rows whose own step goes backwards."""

MOST_DEFINED = 1000
"""Names that are told to W&B one by one; a data set of 10,000 classes has more."""


class WandbSummary:
    """Tells W&B, name by name, which value stands for a curve, and keeps that value itself too.

    W&B's own `summary="max"` is told, but its result is not relied on: it stands under `name.max` and not under the
    name, where tables and charts look for it; it is NaN for ever after one NaN (wandb 0.31); and the second part of a
    run that was continued offline knows nothing of the first. So `name` itself is set, after each row, to the best so
    far over all parts of the run. No pattern is used: one that matches images or tables spoils their entries.

    Args:
        monitor: The validation figure that chooses the weights.
        mode: `max` or `min`: which way it is better, whatever is known of its name.
    """

    def __init__(self, monitor: str | None = None, mode: str = "max") -> None:
        self.monitor, self.mode = monitor, mode
        self._values: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._defined: set[str] = set()
        self._final: set[str] = set()

    def rule(self, name: str) -> str:
        """`max`, `min` or `mean` over the curve, or `last`.

        >>> summary = WandbSummary("val/surprise", "min")
        >>> [summary.rule(name) for name in ("val/accuracy", "val/loss", "val/surprise", "train/loss")]
        ['max', 'min', 'min', 'last']
        """
        if name.startswith("test/"):
            return "last"  # one row, and then the final figure
        if name == self.monitor:
            return "min" if self.mode == "min" else "max"
        known = quantity(name)
        if known.summary == "best":
            return known.better or "last"
        return known.summary

    def remember(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take up what an earlier part of the run has logged.

        Args:
            rows: Lines of `metrics.jsonl`; a value that is not finite stands as text in them.
        """
        for row in rows:
            for name, value in row.items():
                if name not in NOT_LOGGED:
                    self._fold(name, value)

    def define(self, run: Any, names: Iterable[str]) -> None:
        """Tell W&B of names that are new to it.

        Args:
            run: W&B's run.
            names: Of scalars only.
        """
        for name in names:
            rule = self.rule(name) if name not in self._defined and name != STEP else "last"
            if rule != "last" and len(self._defined) < MOST_DEFINED:
                self._defined.add(name)
                run.define_metric(name, step_metric=STEP, step_sync=True, summary=rule)

    def after(self, row: Mapping[str, Any]) -> dict[str, float]:
        """What the summary must say after a row was logged; empty where W&B's last value is right.

        Args:
            row: Name -> value.
        """
        for name, value in row.items():
            self._fold(name, value)
        return {
            name: self._values[name]
            for name in row
            if name in self._values and name not in self._final and self.rule(name) != "last"
        }

    def finish(self, names: Iterable[str]) -> None:
        """Leave names alone from now on: their final figures stand in the summary."""
        self._final.update(names)

    def _fold(self, name: str, value: Any) -> None:
        rule = self.rule(name)
        number = _number(value) if rule != "last" else None
        if number is None or name in self._final:
            return
        before = self._values.get(name)
        if before is None:
            self._values[name], self._counts[name] = number, 1
        elif rule == "mean":
            self._counts[name] += 1
            self._values[name] = before + (number - before) / self._counts[name]
        else:
            self._values[name] = max(before, number) if rule == "max" else min(before, number)


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool | str) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
