"""How a sweep chooses its trials: what the runner asks of a grid and of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from mmdl.sweeps.record import Sweep, Trial
from mmdl.sweeps.space import Dimension


class SweepMethod(Protocol):
    """Chooses the trials of a sweep.

    Attributes:
        method: Its name in `sweep.json`.
        name: Of the sweep, or None.
        jobs: How many trials run at a time.
        retries: How often a trial that fails is started once more.
    """

    method: ClassVar[str]
    name: str | None
    jobs: int
    retries: int

    def check(self, space: Sequence[Dimension]) -> None:
        """Refuse settings and spaces that it can't work with.

        Raises:
            UserError: the first mistake.
        """

    def definition(self) -> dict[str, Any]:
        """Its settings that change which trials there are, beside the space."""

    def samples(self, space: Sequence[Dimension]) -> list[list[str]]:
        """Overrides of all trials, or of so many that every value and every end of the space is there."""

    def total(self, sweep: Sweep) -> int:
        """How many trials there will be."""

    def begin(self, sweep: Sweep, space: Sequence[Dimension]) -> None:
        """Take up a sweep: add the trials that are known beforehand, learn from those that are over."""

    def propose(self, sweep: Sweep) -> Trial | None:
        """A further trial, added to the sweep; None where there is none (now)."""

    def progressed(self, trial: Trial, values: Sequence[float]) -> bool:
        """The monitored figure of a running trial at each of its validations; whether it shall be given up."""

    def ended(self, trial: Trial) -> None:
        """A trial is over, or has failed for good."""

    def notes(self) -> list[str]:
        """What it has to say when all is done."""
