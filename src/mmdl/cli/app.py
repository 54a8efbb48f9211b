"""Runs a verb under Hydra, with the caller's `conf/` searched first."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import version
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, InstantiationException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode

from mmdl.cli.arguments import parse_hydra
from mmdl.cli.bare_words import bare_words
from mmdl.cli.dotted_groups import dotted_groups
from mmdl.cli.guard import GuardedHydra
from mmdl.cli.job import Job, JobRefusedError
from mmdl.cli.paths import caller_conf, packaged_conf
from mmdl.cli.presets import added_on_resume, presets_last, quoted_text
from mmdl.cli.submitit_job import tell_slurm
from mmdl.cli.swept import first_trial
from mmdl.errors import UserError
from mmdl.resolvers import register_resolvers

if TYPE_CHECKING:
    from omegaconf import DictConfig

VERSION_BASE = "1.3"


class CallerConf(SearchPathPlugin):
    """Puts the `conf/` of the current directory in front of the packaged one."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Inserts the folder, where there is one; other Hydra programs in this process keep theirs.

        Args:
            search_path: Hydra's search path, to be changed in place.
        """
        is_ours = any(element.path == str(packaged_conf()) for element in search_path.get_path())
        folder = caller_conf()
        if is_ours and folder is not None:
            search_path.prepend("caller", f"file://{folder}", SearchPathQuery(provider="main", path=None))


@contextlib.contextmanager
def hydra_for(
    verb: str, config_dir: str | None = None, config_path: str | None = None
) -> Iterator[GuardedHydra]:
    """Hydra, ready to compose: guarded, with mmdl's search path; cleared at the end.

    Args:
        verb: Becomes the job's name.
        config_dir: A folder searched after the packaged configs (`--config-dir`).
        config_path: A folder in place of the packaged configs (`--config-path`).
    """
    version.setbase(VERSION_BASE)
    register_resolvers()
    Plugins.instance().register(CallerConf)
    main = str(packaged_conf()) if config_path is None else str(Path(config_path).absolute())
    search_path = create_config_search_path(main)
    assert isinstance(search_path, ConfigSearchPathImpl)
    if config_dir is not None:
        anchor = SearchPathQuery(provider="schema", path=None)
        search_path.prepend("command-line", f"file://{Path(config_dir).absolute()}", anchor)
    # A command may compose while its own job runs: both of Hydra's globals are put back.
    outer, outer_config = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None  # what an earlier job has set must not resolve ${hydra:...} now
    try:
        yield GuardedHydra.create_main_hydra2(verb, search_path)
    finally:
        GlobalHydra.instance().hydra = outer
        HydraConfig.instance().cfg = outer_config


def compose(config_name: str, overrides: Sequence[str] = (), *, with_hydra: bool = False) -> DictConfig:
    """Composes a config as the command line would, without running anything.

    Args:
        config_name: A primary config such as `train`.
        overrides: Overrides such as `+experiment=vqa` and `data.batch_size=8`.
        with_hydra: Keep the `hydra` node.

    Returns:
        The composed config, in struct mode, with its interpolations unresolved.

    Raises:
        UserError: If it can't be composed.
    """
    from omegaconf import flag_override

    with hydra_for(config_name) as hydra:
        config = hydra.config_loader.load_configuration(
            config_name, list(overrides), RunMode.RUN, from_shell=False
        )
    if not with_hydra:
        with flag_override(config, ["struct", "readonly"], [False, False]):
            del config["hydra"]
    return config


def _flags(found: argparse.Namespace, trusted: Sequence[str]) -> list[str]:
    """The words that a job of a multirun needs besides its own overrides."""
    named = {
        "--config-path": found.config_path,
        "--config-name": found.config_name,
        "--config-dir": found.config_dir,
    }
    flags = [word for flag, value in named.items() if value is not None for word in (flag, value)]
    return flags + [word for name in trusted for word in ("--trust", name)]


def _execute(hydra: GuardedHydra, found: argparse.Namespace, config_name: str, job: Job) -> None:
    overrides: list[str] = found.overrides
    if found.hydra_help:
        hydra.hydra_help(config_name, argparse.ArgumentParser(), found)
    elif found.cfg:
        hydra.show_cfg(
            config_name, overrides, cfg_type=found.cfg, package=found.package, resolve=found.resolve
        )
    elif found.info:
        hydra.show_info(found.info, config_name, overrides)
    elif found.shell_completion:
        hydra.shell_completion(config_name, overrides)
    else:
        # A sweep's config may say hydra.mode=MULTIRUN itself.
        mode = RunMode.MULTIRUN if found.multirun else hydra.get_mode(config_name, overrides) or RunMode.RUN
        overrides = [*overrides, f"hydra.mode={mode.name}"]
        if mode == RunMode.RUN:
            hydra.run(config_name, job, overrides)
        else:
            tell_slurm()
            hydra.multirun(config_name, job, overrides)


def run(
    verb: str, config_name: str, words: Sequence[str], *, trusted: Sequence[str] = (), whole: bool = True
) -> None:
    """Runs a verb under Hydra: one job, a multirun, or one of Hydra's own pages.

    Args:
        verb: The verb; its code is `mmdl/commands/<verb>.py`.
        config_name: Its primary config.
        words: The words after the verb, without `--trust`.
        trusted: The packages that `--trust` named.
        whole: Whether missing values are refused before the command starts.

    Raises:
        UserError: For every mistake in the command line or a config.
    """
    found = parse_hydra(words)
    overrides = dotted_groups(bare_words(verb, found.overrides))
    overrides = added_on_resume(verb, presets_last(overrides))
    found.overrides = quoted_text(verb, overrides)
    argv = [sys.argv[0], verb, *words, *(word for name in trusted for word in ("--trust", name))]
    job = Job(verb, argv, _flags(found, trusted), whole=whole)
    with _plain_warnings(), hydra_for(verb, found.config_dir, found.config_path) as hydra:
        try:
            found.overrides = first_trial(verb, found.overrides, hydra.config_loader)
            _execute(hydra, found, found.config_name or config_name, job)
        except JobRefusedError as refused:
            raise refused.error from refused.__cause__
        except InstantiationException:
            raise
        except HydraException as error:
            if isinstance(error, UserError):
                raise
            raise UserError(str(error).strip()) from error


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings as one line, without a line of source that means nothing to a user."""
    before = warnings.formatwarning
    if not os.environ.get("MMDL_DEBUG"):
        warnings.formatwarning = lambda message, category, *_args, **_kwargs: (
            f"{category.__name__}: {message}\n"
        )
    try:
        yield
    finally:
        warnings.formatwarning = before
