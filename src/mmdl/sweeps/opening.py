"""Begins a sweep or takes one up again: its name, folder, trials, and whether it is still the same."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from mmdl.assembly import chosen, static_errors
from mmdl.cli.app import compose
from mmdl.cli.presets import presets_last
from mmdl.cli.swept import first_trial
from mmdl.errors import UserError, UserErrors
from mmdl.instantiate import instantiate
from mmdl.runs.changes import FREE, SAME_RESULTS, path_of
from mmdl.runs.files import write_text
from mmdl.runs.folder import run_ids
from mmdl.runs.redact import REDACTED, redact_argument
from mmdl.runs.sweeps import SWEEP_FILE, SWEEPS, named_sweep, runs_of
from mmdl.sweeps.command import SweepCommand, taken_apart
from mmdl.sweeps.composing import Composer, check_trials, composer
from mmdl.sweeps.lock import alone
from mmdl.sweeps.method import SweepMethod
from mmdl.sweeps.record import Sweep, Trial, load_sweep
from mmdl.sweeps.runner import check_free
from mmdl.sweeps.sameness import FIRST_FILE, check_same, fingerprint, plain
from mmdl.sweeps.space import Dimension, space_of
from mmdl.sweeps.wandb_config import write_wandb_sweep

CHANGEABLE = ("sweep.jobs", "sweep.retries", "sweep.n_trials", "sweep.max_failed")
"""Settings of a sweep that `resume=` takes; others change what it is."""


MANY = 60
"""Configurations whose check takes long enough to be announced."""

log = logging.getLogger("mmdl")


class OpenedSweep(NamedTuple):
    """A sweep that is ready to be trained.

    Attributes:
        sweep: With the trials that are known.
        method: Chooses further ones.
        command: What was given.
        space: What is varied.
        config: Of the first trial.
        lines: What a person must know before it begins.
        devices: GPUs that a trial uses.
    """

    sweep: Sweep
    method: SweepMethod
    command: SweepCommand
    space: list[Dimension]
    config: DictConfig
    lines: list[str]
    devices: int

    def words(self, trial: Trial) -> list[str]:
        """The words of `mmdl` that train a trial from its beginning.

        Args:
            trial: One of the sweep's.
        """
        own = [f"run.id={trial.run}"]
        if "wandb" in chosen(self.config.get("logger")):
            own += [f"logger.wandb.group={self.sweep.name}", "logger.wandb.job_type=sweep-trial"]
        given = {word.partition("=")[0] for word in self.command.fixed}
        own = [word for word in own if word.partition("=")[0] not in given]
        return ["train", *self.command.flags, *self.command.fixed, *trial.overrides, *own]


@contextmanager
def open_sweep(cfg: DictConfig, words: Sequence[str]) -> Iterator[OpenedSweep]:
    """A sweep with its folder, which no other process has open meanwhile.

    Args:
        cfg: Composed for the first trial.
        words: Of the command line, after the verb.

    Raises:
        UserError: for everything that is wrong with it; nothing was written then.
    """
    command = taken_apart(words)
    if cfg.resume is not None:
        cfg, command = _taken_up(cfg, command)
    _check_settings(cfg)
    _check_hydra(command)
    method: SweepMethod = instantiate(cfg.sweep)
    with composer(command.fixed, command.config_dir, command.config_path) as composing:
        space = space_of([*cfg.sweep.space, *_params(cfg.sweep.params)], composing.loader)
        method.check(space)
        samples = method.samples(space)
        if len(samples) > MANY:
            log.info("%-12s %d configurations, each composed as train would", "checking", len(samples))
        configs = check_trials(composing, samples)
        sweep = _sweep(cfg, words if cfg.resume is None else None, command, space, method, configs)
        begun = (sweep.folder / SWEEP_FILE).is_file()
        with alone(sweep.folder, writes=not cfg.dry_run):
            if begun:
                sweep = _same(sweep, composing, cfg, space, method)
                order = [
                    word.partition("=")[0] for word in (sweep.trials[0].overrides if sweep.trials else [])
                ]
                space.sort(key=lambda dimension: order.index(dimension.key) if order else 0)
            opened = OpenedSweep(
                sweep, method, command, space, next(iter(configs.values())), [], _devices(configs)
            )
            if not cfg.dry_run or method.method == "grid":
                _take_up_trials(opened, cfg, begun)
            if not cfg.dry_run:
                _write(opened, configs)
            yield opened


def _taken_up(cfg: DictConfig, given: SweepCommand) -> tuple[DictConfig, SweepCommand]:
    """The configuration and command of a sweep that `resume` names, with what may be changed of it."""
    root = Path(cfg.run.root).expanduser()
    sweep = load_sweep(named_sweep(root, str(cfg.resume)))
    own = [word for word in given.own if not word.startswith("resume=")]
    allowed = [w for w in own if w.partition("=")[0] in CHANGEABLE or w.startswith("dry_run=")]
    free = [w for w in given.fixed if w.startswith(("run.root=", "allow_changes="))]
    refused = [w for w in [*own, *given.fixed, *given.swept] if w not in (*allowed, *free)]
    if refused:
        raise UserError(
            f"resume={sweep.name} with {' '.join(refused)}: a sweep goes on as it was defined",
            valid=f"resume={sweep.name} alone, or with {', '.join(CHANGEABLE)}",
            fix="to add values, the whole command with "
            f"sweep.name={sweep.name}: python -m mmdl sweep {' '.join(sweep.command)}",
        )
    if any(REDACTED in word for word in sweep.command):
        raise UserError(
            f"resume={sweep.name}: its command held a secret, which no file keeps",
            valid="the whole command, as it began the sweep",
        )
    if Path(sweep.cwd) != Path.cwd():
        log.warning(
            "%-12s begun in %s: relative paths and its conf/ are looked for here", "folder", sweep.cwd
        )
    keys = [word.partition("=")[0] for word in (*allowed, *free)]
    words = [word for word in sweep.command if word.partition("=")[0] not in (*keys, "dry_run", "run.root")]
    words = [word for word in words if not word.startswith("sweep.name=")]
    root_word = free if any(w.startswith("run.root=") for w in free) else [*free, *_root_word(sweep, root)]
    command = taken_apart([*words, f"sweep.name={sweep.name}", *allowed, *root_word])
    overrides = first_trial("sweep", presets_last([*command.fixed, *command.swept, *command.own]))
    return compose("sweep", overrides), command


def _root_word(sweep: Sweep, root: Path) -> list[str]:
    """Where its runs are, if that is not where this command would look for them."""
    return (
        []
        if runs_of(sweep.folder) == root.resolve() == Path("runs").resolve()
        else [f"run.root={runs_of(sweep.folder)}"]
    )


def _params(params: Mapping[str, Any] | None) -> list[str]:
    """A mapping of the configuration as overrides; nested keys are joined."""
    found = []
    for key, value in (params or {}).items():
        if isinstance(value, Mapping | DictConfig):
            found += [f"{key}.{word}" for word in _params(value)]
        else:
            found.append(f"{key}={value}")
    return found


def _check_settings(cfg: DictConfig) -> None:
    """What is wrong with the sweep's own settings.

    Raises:
        UserErrors: all of it.
    """
    errors = static_errors(OmegaConf.create({"sweep": OmegaConf.to_container(cfg.sweep, resolve=False)}))
    if not errors:
        for key, least in (("jobs", 1), ("retries", 0)):
            if cfg.sweep[key] < least:
                errors.append(UserError(f"sweep.{key}={cfg.sweep[key]}", valid=f"at least {least}"))
    if cfg.run.id is not None:
        errors.append(
            UserError(
                f"run.id={cfg.run.id}: each trial has a run of its own",
                valid="the runs NAME-1, NAME-2, ... of the sweep NAME",
                fix=f"sweep.name={cfg.run.id}",
            )
        )
    name = cfg.sweep.get("name")
    if name == "latest":
        errors.append(UserError("sweep.name=latest", valid="another name: resume=latest is the newest sweep"))
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,99}", str(name)):
        errors.append(
            UserError(
                f"sweep.name={name!r} can't name a folder",
                valid="letters, digits and . _ -, at most 100, beginning with a letter or digit",
            )
        )
    if errors:
        raise UserErrors(errors)


def _check_hydra(command: SweepCommand) -> None:
    """Refuse Hydra's own sweepers and launchers, which would be passed over.

    Raises:
        UserError: naming the override.
    """
    for word in command.fixed:
        if re.match(r"[+~]*hydra[./](launcher|sweeper|sweep|mode)\b", word):
            raise UserError(
                f"{word}: mmdl sweep starts its trials itself, on this machine",
                valid="sweep.jobs=N for several at a time",
                fix="python -m mmdl train ... -m, for Hydra's launchers and sweepers",
            )


def _sweep(
    cfg: DictConfig,
    words: Sequence[str] | None,
    command: SweepCommand,
    space: Sequence[Dimension],
    method: SweepMethod,
    configs: Mapping[tuple[str, ...], DictConfig],
) -> Sweep:
    """The sweep that the command line describes, without trials."""
    definition = {
        "overrides": sorted(redact_argument(word) for word in command.fixed if not _is_free(word)),
        "space": {dimension.name: dimension.described() for dimension in space},
        **method.definition(),
    }
    first = next(iter(configs.values()))
    name = str(method.name) if method.name else _name(str(first.name), space, definition, method.method)
    root = Path(cfg.run.root).expanduser()
    folder = root / SWEEPS / name
    if name in run_ids(root):
        raise UserError(f"there is a run {name!r} in {root}", valid="another sweep.name")
    return Sweep(
        folder=folder,
        name=name,
        method=method.method,
        monitor=str(first.monitor.name),
        mode=str(first.monitor.mode),
        definition=definition,
        command=[redact_argument(w) for w in (words or []) if not w.startswith(("dry_run=", "--trust"))],
        cwd=str(Path.cwd()),
    )


def _is_free(word: str) -> bool:
    path = path_of(word)
    return path.split(".")[0] in FREE or path in SAME_RESULTS


def _name(experiment: str, space: Sequence[Dimension], definition: Mapping[str, Any], method: str) -> str:
    """A name that the same command finds again."""
    keys = [re.split(r"[./@]", dimension.name)[-1] for dimension in space[:3]]
    text = json.dumps([method, definition], sort_keys=True)
    return "-".join([experiment, *keys, hashlib.sha256(text.encode()).hexdigest()[:6]])


def _same(
    wanted: Sweep, composing: Composer, cfg: DictConfig, space: Sequence[Dimension], method: SweepMethod
) -> Sweep:
    """The sweep of the folder, if it is the one that the command line describes, or that with more values."""
    sweep = load_sweep(wanted.folder)
    check_same(sweep, wanted, composing, allow_changes=bool(cfg.allow_changes))
    sweep.definition = wanted.definition
    sweep.command = wanted.command or sweep.command
    return sweep


def _take_up_trials(opened: OpenedSweep, cfg: DictConfig, begun: bool) -> None:
    sweep, method = opened.sweep, opened.method
    if not cfg.dry_run:
        sweep.folder.mkdir(parents=True, exist_ok=True)
    method.begin(sweep, opened.space)
    for trial in sweep.trials:
        if trial.state == "failed":
            trial.state = "waiting"
    states = [trial.state for trial in sweep.trials]
    if begun:
        more = sum(trial.attempts == 0 for trial in sweep.trials)
        opened.lines.append(
            f"{'going on':12} {sum(trial.is_over for trial in sweep.trials)} of {method.total(sweep)} trials are done"
            + (f", {states.count('interrupted')} interrupted" if "interrupted" in states else "")
            + (f", {more} not begun" if more else "")
        )
    last = max(method.total(sweep), len(sweep.trials))
    begun_numbers = {trial.number for trial in sweep.trials if trial.attempts}
    check_free(sweep, [number for number in range(1, last + 1) if number not in begun_numbers])


def _write(opened: OpenedSweep, configs: Mapping[tuple[str, ...], DictConfig]) -> None:
    """Its files, before the first trial."""
    sweep = opened.sweep
    by_overrides = {tuple(sorted(words)): config for words, config in configs.items()}
    for trial in sweep.trials:
        config = by_overrides.get(tuple(sorted(trial.overrides)))
        if config is not None:
            sweep.configurations.setdefault(trial.run, fingerprint(config))
    first = sweep.folder / FIRST_FILE
    if not first.is_file():
        overrides, config = next(iter(configs.items()))
        sweep.definition["first"] = list(overrides)
        write_text(first, OmegaConf.to_yaml(OmegaConf.create(plain(config))))
    sweep.save()
    opened.lines.append(write_wandb_sweep(opened.sweep, opened.method, opened.command, opened.space))


def _devices(configs: Mapping[tuple[str, ...], DictConfig]) -> int:
    found = str(next(iter(configs.values())).trainer.devices)
    return int(found) if found.isdigit() and int(found) else 1
