"""The configurations of trials, composed as `train` would, and what is wrong with them before any is trained."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, flag_override
from omegaconf.errors import OmegaConfBaseException

from mmdl.cli.app import hydra_for
from mmdl.cli.config_errors import as_user_error
from mmdl.cli.presets import presets_last
from mmdl.cli.values import value_errors
from mmdl.commands.check import check_config
from mmdl.errors import UserError, UserErrors


class Composer:
    """Composes `train` for many trials; those that choose the same groups share the reading of files.

    Args:
        loader: Hydra's.
        fixed: Overrides of all trials.
    """

    def __init__(self, loader: ConfigLoaderImpl, fixed: Sequence[str]) -> None:
        self.loader = loader
        self.fixed = list(fixed)
        self._parser = OverridesParser.create(config_loader=loader)
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one trial, in struct mode.

        Args:
            overrides: Of the trial.

        Raises:
            UserError: if it can't be composed.
        """
        chosen = tuple(word for word in overrides if self._chooses(word))
        if chosen not in self._bases:
            config = self.loader.load_configuration(
                "train", presets_last([*self.fixed, *chosen]), RunMode.RUN, from_shell=False
            )
            with flag_override(config, ["struct", "readonly"], [False, False]):
                del config["hydra"]
            self._bases[chosen] = config
        config = copy.deepcopy(self._bases[chosen])
        values = [word for word in overrides if word not in chosen]
        try:
            ConfigLoaderImpl._apply_overrides_to_config(self._parser.parse_overrides(values), config)
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise as_user_error(error, self.loader, "train", [*self.fixed, *overrides]) from error
        return config

    def _chooses(self, word: str) -> bool:
        """Whether an override chooses from a group, which means other files."""
        override = self._parser.parse_overrides([word])[0]
        return bool(self.loader.repository.group_exists(override.key_or_group))


@contextmanager
def composer(
    fixed: Sequence[str], config_dir: str | None = None, config_path: str | None = None
) -> Iterator[Composer]:
    """A composer with mmdl's search path.

    Args:
        fixed: Overrides of all trials.
        config_dir: `--config-dir` of the command line.
        config_path: `--config-path`.
    """
    with hydra_for("train", config_dir, config_path) as hydra:
        yield Composer(hydra.config_loader, fixed)  # type: ignore[arg-type]


def check_trials(composing: Composer, trials: Sequence[Sequence[str]]) -> dict[tuple[str, ...], DictConfig]:
    """The configuration of every trial, where all are sound.

    What `mmdl check` finds without reading data is found here, for each; trials that differ in their seed only are
    checked once.

    Args:
        composing: Composes them.
        trials: Overrides of each.

    Raises:
        UserErrors: everything that is wrong with any, before one is trained.
    """
    errors: dict[str, UserError] = {}
    found: dict[tuple[str, ...], DictConfig] = {}
    seen: set[tuple[str, ...]] = set()
    for overrides in trials:
        try:
            config = composing.compose(overrides)
            found[tuple(overrides)] = config
            without_seed = tuple(word for word in overrides if not word.startswith("seed="))
            if without_seed in seen:
                continue
            seen.add(without_seed)
            missing = value_errors(config)
            if missing:
                raise UserErrors(missing)
            check_config(config)
            _check_monitor(config)
        except UserError as error:
            for one in error.errors if isinstance(error, UserErrors) else [error]:
                if str(one) not in errors:
                    errors[str(one)] = UserError(f"{' '.join(overrides)}: {one.given}", one.valid, one.fix)
    if not errors:
        errors |= _other_monitors(found)
    if errors:
        raise UserErrors(list(errors.values()))
    return found


def _check_monitor(config: DictConfig) -> None:
    if config.monitor.name is None:
        raise UserError(
            "monitor.name is not set: trials are chosen by it",
            fix="monitor.name=val/accuracy monitor.mode=max",
        )
    if config.monitor.mode not in ("max", "min"):
        raise UserError(f"monitor.mode={config.monitor.mode}", valid="max, min")


def _other_monitors(found: dict[tuple[str, ...], DictConfig]) -> dict[str, UserError]:
    by = {(str(config.monitor.name), str(config.monitor.mode)): words for words, config in found.items()}
    if len(by) < 2:
        return {}
    said = "; ".join(f"{name} ({mode}) with {' '.join(words)}" for (name, mode), words in by.items())
    error = UserError(
        f"the trials are judged by different figures: {said}",
        valid="one figure for all: otherwise none is the best",
        fix="a sweep for each",
    )
    return {"monitor": error}
