"""An Optuna study: each trial is drawn from what those before have shown."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from mmdl.errors import UserError
from mmdl.runs.folder import RunFolder
from mmdl.runs.sweeps import runs_of
from mmdl.sweeps.progress import monitored
from mmdl.sweeps.record import Sweep, Trial
from mmdl.sweeps.space import Dimension

SAMPLERS = ("tpe", "random")
PRUNERS = ("median",)
DATABASE = "optuna.db"
FEW = 20
"""Finished trials from which on the importance of a key says anything: with 8 of them it named the wrong key."""

log = logging.getLogger("mmdl")


class StudySweep:
    """Searches with Optuna.

    `sweep.json` is the truth. The study is built from it at every start, and written to `optuna.db` for Optuna's own
    tools. The draw of a trial depends on the seed, its number and the trials before it only: a search that was
    interrupted goes on as it would have without that, where one trial runs at a time.

    Args:
        name: Of the sweep and its folder; None makes one from experiment, keys and definition.
        jobs: Trials at a time; the draws then depend on which of them ends first.
        retries: How often a trial that fails is started once more.
        space: Filled in by the command line: the overrides with several values.
        params: Further ones: key -> values in Hydra's grammar, such as `tag(log, interval(1e-4, 1e-2))`.
        n_trials: How many trials are to finish.
        sampler: `tpe` or `random`.
        startup_trials: Random ones before `tpe` learns from them, and before anything is pruned.
        pruner: `median` gives up a trial that is worse than the median of those before it; None gives up none.
        prune_after: Validations that a trial may take in any case.
        max_failed: After so many failed trials no further one is begun.
        seed: Of the draws.
    """

    method: ClassVar[str] = "optuna"

    def __init__(
        self,
        name: str | None = None,
        jobs: int = 1,
        retries: int = 1,
        space: Sequence[str] = (),
        params: Mapping[str, Any] | None = None,
        n_trials: int = 20,
        sampler: str = "tpe",
        startup_trials: int = 5,
        pruner: str | None = None,
        prune_after: int = 1,
        max_failed: int = 5,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.jobs = jobs
        self.retries = retries
        self.space = list(space)
        self.params = dict(params or {})
        self.n_trials = n_trials
        self.sampler = sampler
        self.startup_trials = startup_trials
        self.pruner = pruner
        self.prune_after = prune_after
        self.max_failed = max_failed
        self.seed = seed
        self._dimensions: list[Dimension] = []
        self._open: dict[int, Any] = {}
        self._reported: dict[int, int] = {}

    def check(self, space: Sequence[Dimension]) -> None:
        """Refuse wrong settings, a swept seed, and a missing Optuna.

        Raises:
            UserError: the first mistake.
        """
        if self.n_trials < 1:
            raise UserError(f"sweep.n_trials={self.n_trials}", valid="at least 1", fix="sweep.n_trials=20")
        if self.sampler not in SAMPLERS:
            raise UserError(
                f"unknown sweep.sampler {self.sampler!r}",
                valid=", ".join(SAMPLERS),
                fix="sweep=grid for every combination of the values" if self.sampler == "grid" else "",
            )
        if self.pruner is not None and self.pruner not in PRUNERS:
            raise UserError(f"unknown sweep.pruner {self.pruner!r}", valid=f"{', '.join(PRUNERS)}, null")
        if any(dimension.name == "seed" for dimension in space):
            raise UserError(
                "seed is nothing to search for: it would choose the luckiest one",
                valid="one seed for the search; then the best configuration with several",
                fix="seed=0 here, and afterwards sweep=grid seed=0,1,2 with the best values",
            )
        _optuna()

    def definition(self) -> dict[str, Any]:
        """What the draws depend on; `n_trials` may grow."""
        return {
            "sampler": self.sampler,
            "startup_trials": self.startup_trials,
            "pruner": self.pruner,
            "prune_after": self.prune_after,
            "seed": self.seed,
        }

    def samples(self, space: Sequence[Dimension]) -> list[list[str]]:
        """The first values of all dimensions, and each other value or end with them."""
        ends = {
            d.key: list(d.values) or [str(end) for end in (d.bounds[:2] if d.bounds is not None else ())]
            for d in space
        }
        first = {key: values[0] for key, values in ends.items()}
        found = [first] + [first | {key: value} for key, values in ends.items() for value in values[1:]]
        return [[f"{key}={value}" for key, value in one.items()] for one in found]

    def total(self, sweep: Sweep) -> int:
        """How many trials are to finish."""
        return self.n_trials + sum(trial.state == "failed" for trial in sweep.trials)

    def begin(self, sweep: Sweep, space: Sequence[Dimension]) -> None:
        """Build the study from the trials that there are."""
        optuna = _optuna()
        path = sweep.folder / DATABASE
        for stale in (path, path.with_name(f"{DATABASE}-journal")):
            stale.unlink(missing_ok=True)
        direction = "maximize" if sweep.mode == "max" else "minimize"
        pruner: Any = optuna.pruners.NopPruner()
        if self.pruner == "median":
            pruner = optuna.pruners.MedianPruner(self.startup_trials, n_warmup_steps=self.prune_after)
        self._dimensions = list(space)
        self._study = optuna.create_study(
            storage=f"sqlite:///{path.absolute()}",
            study_name=sweep.name,
            direction=direction,
            pruner=pruner,
            sampler=self._drawn(0),
        )
        for trial in sweep.trials:
            self._take(sweep, trial)

    def _take(self, sweep: Sweep, trial: Trial) -> None:
        """Put a trial of an earlier start into the study, under its number."""
        optuna = _optuna()
        states = {"finished": "COMPLETE", "pruned": "PRUNED"}
        parameters = self._parameters(trial)
        if trial.state in states and trial.value is not None:
            values = monitored(RunFolder(runs_of(sweep.folder), trial.run), sweep.monitor)
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState[states[trial.state]],
                    value=trial.value,
                    params=parameters,
                    distributions=self._distributions(),
                    intermediate_values=dict(enumerate(values, start=1)),
                )
            )
            return
        self._study.enqueue_trial(parameters)
        self._open[trial.number] = self._study.ask(self._distributions())

    def propose(self, sweep: Sweep) -> Trial | None:
        """Draw a trial, until enough are over, run or wait; what was trained before is not trained again."""
        while True:
            failed = sum(trial.state == "failed" for trial in sweep.trials)
            if len(sweep.trials) - failed >= self.n_trials or failed >= self.max_failed:
                return None
            self._study.sampler = self._drawn(len(sweep.trials) + 1)
            drawn = self._study.ask(self._distributions())
            trial = sweep.add([f"{d.key}={_text(drawn.params[d.name])}" for d in self._dimensions])
            self._open[trial.number] = drawn
            same = next(
                (t for t in sweep.trials[:-1] if t.overrides == trial.overrides and t.state == "finished"),
                None,
            )
            if same is None:
                return trial
            trial.state, trial.value, trial.run = "finished", same.value, same.run
            trial.same_as = same.same_as or same.number
            self._tell(trial)
            sweep.save()
            log.info(
                "%-12s %s: the same as trial %d, not trained again",
                f"trial {trial.number}",
                trial.shown,
                trial.same_as,
            )

    def progressed(self, trial: Trial, values: Sequence[float]) -> bool:
        """Tell the pruner each validation in turn, and ask it."""
        drawn = self._open.get(trial.number)
        if self.pruner is None or drawn is None:
            return False
        for step, value in enumerate(values, start=1):
            if step > self._reported.get(trial.number, 0):
                self._reported[trial.number] = step
                drawn.report(value, step)
                if drawn.should_prune():
                    trial.value = value
                    return True
        return False

    def ended(self, trial: Trial) -> None:
        """Tell the study what has become of a trial."""
        self._tell(trial)

    def notes(self) -> list[str]:
        """How much each key has mattered, where enough trials have finished to say so."""
        optuna = _optuna()
        over = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        if len(over) < FEW or len(self._dimensions) < 2 or len({trial.value for trial in over}) < 2:
            return []
        found = optuna.importance.get_param_importances(self._study)
        shares = ", ".join(f"{key} {value:.0%}" for key, value in found.items())
        return [f"importance   {shares}  (fANOVA over {len(over)} trials)"]

    def _tell(self, trial: Trial) -> None:
        optuna = _optuna()
        drawn = self._open.pop(trial.number, None)
        if drawn is None:
            return
        if trial.state == "finished" and trial.value is not None:
            self._study.tell(drawn, trial.value)
        elif trial.state == "pruned":
            self._study.tell(drawn, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(drawn, state=optuna.trial.TrialState.FAIL)

    def _drawn(self, number: int) -> Any:
        """The sampler of one trial."""
        optuna = _optuna()
        seed = int.from_bytes(hashlib.sha256(f"{self.seed}/{number}".encode()).digest()[:4], "little")
        if self.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=self.startup_trials, constant_liar=self.jobs > 1
        )

    def _distributions(self) -> dict[str, Any]:
        return {dimension.name: _distribution(dimension) for dimension in self._dimensions}

    def _parameters(self, trial: Trial) -> dict[str, Any]:
        """The values of a trial as the study has them."""
        given = dict(override.split("=", 1) for override in trial.overrides)
        found: dict[str, Any] = {}
        for d in self._dimensions:
            text = given[d.key]
            found[d.name] = text if d.bounds is None else int(text) if d.bounds.is_integer else float(text)
        return found


def _distribution(dimension: Dimension) -> Any:
    """What Optuna draws a dimension from, as Hydra's own sweeper for Optuna has it."""
    optuna, bounds = _optuna(), dimension.bounds
    if bounds is None:
        return optuna.distributions.CategoricalDistribution(dimension.values)
    if bounds.is_integer:
        return optuna.distributions.IntDistribution(
            int(bounds.low), int(bounds.high), step=int(bounds.step or 1), log=bounds.log
        )
    return optuna.distributions.FloatDistribution(bounds.low, bounds.high, step=bounds.step, log=bounds.log)


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UserError(
            "sweep=optuna needs Optuna", fix="pip install 'mmdl[sweep]', or sweep=grid"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with suppress(AttributeError):
        optuna.logging.disable_default_handler()
    return optuna
