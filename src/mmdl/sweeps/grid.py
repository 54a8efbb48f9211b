"""A grid: every combination of the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mmdl.errors import UserError
from mmdl.sweeps.record import Sweep, Trial
from mmdl.sweeps.space import Dimension, grid


class GridSweep:
    """Trains every combination of the values.

    Args:
        name: Of the sweep and its folder; None makes one from experiment, keys and definition.
        jobs: Trials at a time.
        retries: How often a trial that fails is started once more.
        space: Filled in by the command line: the overrides with several values.
        params: Further ones: key -> values in Hydra's grammar, such as `choice(1, 2)`.
    """

    method: ClassVar[str] = "grid"

    def __init__(
        self,
        name: str | None = None,
        jobs: int = 1,
        retries: int = 1,
        space: Sequence[str] = (),
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.jobs = jobs
        self.retries = retries
        self.space = list(space)
        self.params = dict(params or {})
        self._count = 0

    def check(self, space: Sequence[Dimension]) -> None:
        """Refuse dimensions without values.

        Raises:
            UserError: for an interval.
        """
        for dimension in space:
            if not dimension.values:
                raise UserError(
                    f"{dimension.key}={dimension.text}: a grid needs values",
                    valid="key=a,b,c or key=range(START,STOP,STEP)",
                    fix="sweep=optuna, which draws from intervals",
                )

    def definition(self) -> dict[str, Any]:
        """Nothing beside the space."""
        return {}

    def samples(self, space: Sequence[Dimension]) -> list[list[str]]:
        """All of them."""
        return grid(space)

    def total(self, sweep: Sweep) -> int:
        """How many combinations there are."""
        return self._count

    def begin(self, sweep: Sweep, space: Sequence[Dimension]) -> None:
        """Add the trials that are not there yet; those of an earlier start keep their numbers."""
        there = {tuple(trial.overrides) for trial in sweep.trials}
        wanted = grid(space)
        for overrides in wanted:
            if tuple(overrides) not in there:
                sweep.add(overrides)
        self._count = len(wanted)

    def propose(self, sweep: Sweep) -> Trial | None:
        """None: all are there from the beginning."""
        return None

    def progressed(self, trial: Trial, values: Sequence[float]) -> bool:
        """A grid gives nothing up."""
        return False

    def ended(self, trial: Trial) -> None:
        """Nothing to learn."""

    def notes(self) -> list[str]:
        """None."""
        return []
