"""What this process does at present, for messages about what it waits for and for the watchdog."""

from __future__ import annotations

import statistics
import time
from collections import deque

KEPT = 64
"""Durations of a phase that count for its median."""

FIRST = 2
"""Times of a phase that are left out of it: kernels are compiled and memory is fetched in them."""


class Activity:
    """The present phase and since when, at the cost of a look at the clock for each change.

    A phase that repeats (`step`, `validation batch`) has a median: from one entry to the next, waiting for data
    included.
    """

    def __init__(self) -> None:
        self.phase = "start-up"
        self.number = 0
        self.since = time.monotonic()
        self._entered: dict[str, float] = {}
        self._durations: dict[str, deque[float]] = {}

    def enter(self, phase: str, number: int = 0) -> None:
        """Progress: something begins.

        Args:
            phase: A short name.
            number: Of the step or batch.
        """
        self.phase, self.number, self.since = phase, number, time.monotonic()

    def repeat(self, phase: str, number: int) -> None:
        """Progress: a phase begins again whose duration is to be known."""
        now = time.monotonic()
        durations = self._durations.get(phase)
        if durations is None:
            durations = self._durations[phase] = deque(maxlen=KEPT + FIRST)
        elif phase in self._entered:
            durations.append(now - self._entered[phase])
        self._entered[phase] = now
        self.phase, self.number, self.since = phase, number, now

    def pause(self) -> None:
        """What comes now is between two rounds of a phase, and belongs to none."""
        self._entered.clear()

    def median(self, phase: str) -> float | None:
        """Seconds of a round of a phase; None while it is not known."""
        found = list(self._durations.get(phase, ()))[FIRST:]
        return statistics.median(found) if found else None

    def __str__(self) -> str:
        return f"{self.phase} {self.number}" if self.number else self.phase


activity = Activity()
"""That of this process."""
