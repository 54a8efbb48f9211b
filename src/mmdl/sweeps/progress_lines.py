"""What a sweep says while it trains: a line when a trial begins, and one when it ends."""

from __future__ import annotations

import logging
import statistics
import time
from pathlib import Path

from mmdl.runs.durations import duration
from mmdl.sweeps.method import SweepMethod
from mmdl.sweeps.record import Sweep, Trial

log = logging.getLogger("mmdl")


class ProgressLines:
    """Says how far a sweep is.

    Args:
        sweep: The sweep.
        method: Knows how many trials there will be.
    """

    def __init__(self, sweep: Sweep, method: SweepMethod) -> None:
        self.sweep = sweep
        self.method = method

    def started(self, trial: Trial, *, resumed: bool, adopted: bool) -> None:
        """A trial begins.

        Args:
            trial: The trial.
            resumed: It goes on from its last checkpoint.
            adopted: A process of an earlier start still runs it.
        """
        how = "  (runs since an earlier start)" if adopted else "  (continued)" if resumed else ""
        total = self.method.total(self.sweep)
        log.info("%-12s of %d: %s%s", f"trial {trial.number}", total, trial.shown, how)

    def ended(self, trial: Trial, log_file: Path) -> None:
        """A trial has ended, or its process has.

        Args:
            trial: The trial.
            log_file: What its process has said.
        """
        state = trial.state
        if state in ("finished", "pruned") and trial.value is not None:
            text = f"{self.sweep.monitor} {trial.value:.4f}"
            rest = ", ".join(part for part in (self._best(), self._left()) if part)
            log.info(
                "%-12s trial %d: %s in %s%s",
                f"  {state}",
                trial.number,
                text,
                duration(trial.seconds),
                f"; {rest}" if rest else "",
            )
        elif state == "interrupted":
            log.info("%-12s trial %d after %s", "  stopped", trial.number, duration(trial.seconds))
        else:
            again = "; it is started once more" if state == "waiting" else ""
            log.warning("%-12s trial %d: %s%s", "  failed", trial.number, trial.error, again)
            log.warning("%-12s %s", "", log_file)

    def _best(self) -> str:
        best = self.sweep.best()
        return "" if best is None or best.value is None else f"best {best.value:.4f} (trial {best.number})"

    def _left(self) -> str:
        """How long the rest will take, from the mean of the trials that are over."""
        over = [trial.seconds for trial in self.sweep.trials if trial.is_over and trial.seconds]
        done = sum(trial.is_over or trial.state == "failed" for trial in self.sweep.trials)
        left = self.method.total(self.sweep) - done
        if not over or left <= 0:
            return ""
        seconds = statistics.fmean(over) * -(-left // self.method.jobs)
        clock = time.strftime("%H:%M", time.localtime(time.time() + seconds))
        return f"{left} left, about {duration(seconds)}, until {clock}"
