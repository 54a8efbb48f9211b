"""Trains the trials of a sweep: some at a time, those that fail again, all of them to be found by the next start."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mmdl.errors import UserError
from mmdl.runs.folder import RunFolder
from mmdl.runs.stop_signals import StopSignals
from mmdl.runs.sweeps import runs_of
from mmdl.sweeps.method import SweepMethod
from mmdl.sweeps.process import TrialProcess, clean_environment
from mmdl.sweeps.progress import chosen_value, monitored
from mmdl.sweeps.progress_lines import ProgressLines
from mmdl.sweeps.record import Sweep, Trial
from mmdl.sweeps.shares import share, visible_gpus

log = logging.getLogger("mmdl")

POLL_S = 0.1
PRUNE_S = 1.0
"""How often running trials are looked at for pruning."""

END_S = 60.0
"""How long trials get to save themselves where the sweep ends by an error of its own."""


class _Place(NamedTuple):
    trial: Trial
    process: TrialProcess


class Runner:
    """Trains what is left of a sweep.

    Args:
        sweep: With its trials; written after every change.
        method: Chooses further ones.
        words: Gives the command line of a trial that begins: the words of `mmdl`.
        flags: Flags of every command line.
        stop: The signals that this process has caught.
        devices: GPUs that a trial uses.
    """

    def __init__(
        self,
        sweep: Sweep,
        method: SweepMethod,
        words: Callable[[Trial], list[str]],
        flags: Sequence[str],
        stop: StopSignals,
        devices: int = 1,
    ) -> None:
        self.sweep = sweep
        self.method = method
        self.words = words
        self.flags = list(flags)
        self.stop = stop
        self.devices = devices
        self.root = runs_of(sweep.folder)
        self.lines = ProgressLines(sweep, method)
        self._places: dict[int, _Place] = {}
        self._tries: dict[int, int] = {}
        self._pruning: set[int] = set()
        self._passed_on = False
        self._looked = 0.0

    def run(self) -> None:
        """Train until nothing is left, or until a signal has stopped all trials at a step.

        Raises:
            KeyboardInterrupt: at the second Ctrl-C, when the trials are killed.
        """
        try:
            self._take_what_has_ended()
            while self._step():
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            for place in self._places.values():
                place.process.kill()
            self._drain(END_S)
            raise
        except BaseException:
            for place in self._places.values():
                place.process.signal(signal.SIGTERM)
            self._drain(END_S)
            raise

    def _take_what_has_ended(self) -> None:
        """Note the trials that a sweep which was killed has begun, and that have finished without it."""
        for trial in self.sweep.trials:
            process = TrialProcess(self.sweep.folder, RunFolder(self.root, trial.run))
            if trial.is_over or not process.run.exists or not process.ended():
                continue
            value = chosen_value(process.run, self.sweep.monitor)
            if _status(process.run) == "finished" and value is not None:
                trial.state, trial.value, trial.pid, trial.error = "finished", value, None, ""
                self.method.ended(trial)
                self.sweep.save()
                self.lines.ended(trial, process.log)

    def _step(self) -> bool:
        """One look at everything; False when nothing is left to do."""
        self._reap()
        if self.stop.received is not None:
            if not self._passed_on:
                self._passed_on = True
                for place in self._places.values():
                    place.process.signal(self.stop.received)
            return bool(self._places)
        self._prune()
        while len(self._places) < self.method.jobs:
            trial = self._next()
            if trial is None:
                break
            self._start(trial)
        return bool(self._places)

    def _next(self) -> Trial | None:
        """What was interrupted first, then what waits, then what the method proposes."""
        running = {place.trial.number for place in self._places.values()}
        for state in ("running", "interrupted", "waiting"):
            for trial in self.sweep.trials:
                if trial.state == state and trial.number not in running:
                    return trial
        return self.method.propose(self.sweep)

    def _start(self, trial: Trial) -> None:
        run = RunFolder(self.root, trial.run)
        process = TrialProcess(self.sweep.folder, run)
        slot = next(number for number in range(self.method.jobs) if number not in self._places)
        resumed = run.exists
        if resumed:  # whatever it has saved counts; without a checkpoint it begins anew
            words = ["train", *self.flags, f"resume={run.id}", f"run.root={self.root}"]
        else:
            words = self.words(trial)
        trial.attempts += 1
        trial.state, trial.error = "running", ""
        self.sweep.save()  # first: a run whose beginning is not noted would be taken for somebody else's
        started = process.start(words, self._environment(slot))
        if not started:
            trial.attempts -= 1
        self._tries[trial.number] = self._tries.get(trial.number, 0) + 1
        trial.pid = process.pid
        self._places[slot] = _Place(trial, process)
        self.sweep.save()
        self.lines.started(trial, resumed=resumed, adopted=not started)

    def _environment(self, slot: int) -> dict[str, str]:
        found = clean_environment(os.environ)
        return found | share(slot, self.method.jobs, found, visible_gpus(found), self.devices)

    def _reap(self) -> None:
        for slot, place in list(self._places.items()):
            if place.process.ended():
                del self._places[slot]
                self._ended(place)

    def _ended(self, place: _Place) -> None:
        """Find out how a trial has ended, from its folder and its exit code."""
        trial, process = place
        trial.pid = None
        trial.seconds += time.monotonic() - process.began
        status = _status(process.run)
        if status == "finished" and process.code in (0, None):
            value = chosen_value(process.run, self.sweep.monitor)
            if value is None:
                trial.state = "failed"
                trial.error = f"it ended without a validation: no {self.sweep.monitor} to choose trials by"
            else:
                trial.state, trial.value = "finished", value
        elif trial.number in self._pruning:
            trial.state = "pruned"
        elif self.stop.received is not None:
            trial.state = "interrupted"
        else:
            self._failed(place, status)
        self._pruning.discard(trial.number)
        if trial.is_over or trial.state == "failed":
            self.method.ended(trial)
        self.sweep.save()
        self.lines.ended(trial, process.log)

    def _failed(self, place: _Place, status: str) -> None:
        trial, process = place
        trial.error = _reason(process, status)
        again = not process.refused and self._tries[trial.number] <= self.method.retries
        trial.state = "waiting" if again else "failed"

    def _prune(self) -> None:
        if time.monotonic() - self._looked < PRUNE_S:
            return
        self._looked = time.monotonic()
        for trial, process in self._places.values():
            if trial.number in self._pruning:
                continue
            if self.method.progressed(trial, monitored(process.run, self.sweep.monitor)):
                self._pruning.add(trial.number)
                process.signal(signal.SIGTERM)

    def _drain(self, seconds: float) -> None:
        """Wait for trials that were told to end, and note that they are interrupted."""
        end = time.monotonic() + seconds
        while self._places and time.monotonic() < end:
            for slot, (trial, process) in list(self._places.items()):
                if process.ended():
                    trial.state, trial.pid = "interrupted", None
                    del self._places[slot]
            time.sleep(POLL_S)
        self.sweep.save()


def _status(run: RunFolder) -> str:
    try:
        found: Mapping[str, object] = run.read_status()
    except (OSError, ValueError):
        return "unknown"
    return str(found.get("status", ""))


def _reason(process: TrialProcess, status: str) -> str:
    """Why a trial has failed, in one line."""
    code = process.code
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        more = ": out of memory, or somebody has killed it" if name == "SIGKILL" else ""
        return f"ended by {name}{more}"
    said = process.last_line().removeprefix("error:").strip()
    return said or (f"exit code {code}" if code is not None else f"it ended while {status or 'it began'}")


def check_free(sweep: Sweep, numbers: Sequence[int]) -> None:
    """Refuse to begin where runs of other origin have the names of trials.

    Args:
        sweep: The sweep.
        numbers: Of trials that were not begun.

    Raises:
        UserError: naming the first run that is in the way.
    """
    root = runs_of(sweep.folder)
    for number in numbers:
        run = RunFolder(root, f"{sweep.name}-{number}")
        if run.path.exists():
            raise UserError(
                f"the run {run.id!r} exists in {root}, and is no trial of this sweep",
                valid="a sweep.name whose runs NAME-1, NAME-2, ... are not taken",
                fix=f"sweep.name={sweep.name}-b, or move {run.path} away",
            )
