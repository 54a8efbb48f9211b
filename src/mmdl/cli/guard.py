"""What Hydra itself would instantiate or import from a config, refused unless it is Hydra's own.

Hydra builds callbacks, launchers, sweepers and logging handlers before a command starts, so a config could
name any code there. These checks run on every composed config, in the workers of a launcher too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mmdl.cli.catalog import groups
from mmdl.cli.config_errors import NO_CHOICES, as_user_error
from mmdl.cli.paths import shown
from mmdl.cli.stale_keys import choices, drop_stale_keys
from mmdl.errors import UserError, UserErrors, nearest
from mmdl.instantiate import allowed, refusal, trusted

PLUGIN_NODES = ("launcher", "sweeper")
LOGGING_NODES = ("job_logging", "hydra_logging")
_HYDRA_OWN = re.compile(r"hydra\.experimental\.callbacks\.[A-Z]\w+|optuna\.samplers\.[A-Z]\w+")
_LOGGING_OWN = re.compile(
    r"logging\.(Stream|File|Null)Handler|logging\.handlers\.(Timed)?RotatingFileHandler|logging\.Formatter"
    r"|colorlog\.ColoredFormatter|rich\.logging\.RichHandler"
)
_STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
_LATER = re.compile(r"\$\{hydra\.(runtime|job)\.[\w.]+\}")
_LOADER_VARIABLE = re.compile(r"PATH|(LD_|DYLD_|PYTHON|HYDRA_).*|MMDL_TRUST|BASH_ENV|ENV|IFS|SHELL")
_PASSED_OVER: set[str] = set()
"""Keys of which it was said already: a command composes its config more than once."""


class CompositionError(UserError, ConfigCompositionException):
    """A `UserError` that Hydra's own `except ConfigCompositionException` still sees (tab completion)."""


def _values(node: Any, path: str) -> Iterator[tuple[str, Any, str]]:
    """Every leaf below a node as (path, key, text), with interpolations followed."""
    keys = range(len(node)) if isinstance(node, ListConfig) else list(node.keys())
    for key in keys:
        name, child = f"{path}.{key}", node._get_node(key)
        if child is None or child._is_missing() or (not child._is_interpolation() and child._is_none()):
            continue
        text = str(child._value()) if child._is_interpolation() else ""
        try:
            value = node[key]
        except (OmegaConfBaseException, ValueError):
            # Hydra's own texts are known once a job runs; anything else could turn into a node then.
            if "${" in _LATER.sub("", text):
                yield name, "${}", text
            continue
        if isinstance(value, DictConfig | ListConfig):
            yield from _values(value, name)
        else:
            yield name, key, str(value)


def _node_errors(hydra: DictConfig, kind: str) -> Iterator[UserError]:
    node = hydra._get_node(kind)
    if node is None or node._is_missing():
        return
    value = hydra[kind]
    if not isinstance(value, DictConfig | ListConfig):
        return
    plugins = Plugins.instance().class_name_to_class
    for path, key, text in _values(value, f"hydra.{kind}"):
        is_ours = bool(_HYDRA_OWN.fullmatch(text)) or allowed(text)
        where = path.removesuffix("._target_")
        if key == "${}":
            yield UserError(f"{path}: {text} can't be resolved before the run starts")
        elif kind in LOGGING_NODES:
            names_code = key in ("()", "class") or (text.startswith("ext://") and text not in _STREAMS)
            if names_code and not (_LOGGING_OWN.fullmatch(text) or allowed(text.removeprefix("ext://"))):
                yield UserError(f"{path}: {text!r} is not on the list of names that a config may call")
        elif key == "_target_" and kind in PLUGIN_NODES and where == f"hydra.{kind}":
            if text not in plugins:
                yield UserError(
                    f"{path}: {text!r} is no installed Hydra plugin",
                    valid=nearest(text, (name for name in plugins if kind in name.lower())),
                )
        elif key in ("_target_", "custom_search_space") and not is_ours:
            yield refusal(text, where)


def hydra_errors(config: DictConfig) -> list[UserError]:
    """One error for each name in the `hydra` node that Hydra must not import or call.

    Args:
        config: A composed config with its `hydra` node.
    """
    hydra = config.hydra
    errors = [
        error for kind in ("callbacks", *PLUGIN_NODES, *LOGGING_NODES) for error in _node_errors(hydra, kind)
    ]
    return errors + [
        UserError(
            f"hydra.job.env_set.{name}: a config may not set a variable that decides which code runs",
            fix=f"export {name}=... in the shell",
        )
        for name in hydra.job.env_set
        if _LOADER_VARIABLE.fullmatch(name)
    ]


def header_errors(folder: Path) -> list[UserError]:
    """One error for each config whose `# @package` line Hydra would take for a mere comment.

    Args:
        folder: A folder of the search path.
    """
    errors = []
    for path in sorted(folder.rglob("*.yaml")):
        with path.open(encoding="utf-8", errors="replace") as lines:
            comments = takewhile(lambda line: line.startswith("#") or not line.strip(), lines)
            block = [line for line in comments if line.strip()]
        headers = sum(1 for _ in takewhile(lambda line: re.match(r"#\s*@", line), block))
        late = [line.strip() for line in block[headers:] if re.match(r"#\s*@package\s+\S+$", line)]
        if late:
            errors.append(
                UserError(
                    f"{shown(path)}: Hydra ignores {late[0]!r} below other comments", valid="the first line"
                )
            )
    return errors


class GuardedLoader(ConfigLoaderImpl):
    """Hydra's config loader: refuses foreign code in the `hydra` node, and raises `UserError`s.

    Args:
        config_search_path: Where configs are looked for.

    Raises:
        UserErrors: If a config of the search path has a misplaced header.
    """

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        folders = [Path(source.path) for source in self.get_sources() if source.scheme() == "file"]
        errors = [error for folder in folders if folder.is_dir() for error in header_errors(folder)]
        if errors:
            raise UserErrors(errors)

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Composes a config as Hydra does.

        Raises:
            CompositionError: If it can't be composed.
            UserErrors: If its `hydra` node names foreign code.
        """
        try:
            config = super().load_configuration(
                config_name, overrides, run_mode, from_shell, validate_sweep_overrides
            )
            self._refuse_misspelt_groups(overrides)
            self._drop_stale_keys(config, overrides)
        except (HydraException, OmegaConfBaseException, YAMLError, ValueError, OSError) as error:
            translated = as_user_error(error, self, config_name, overrides)
            raise CompositionError(translated.given, translated.valid, translated.fix) from error
        errors = hydra_errors(config)
        if errors:
            raise UserErrors(errors)
        return config

    def _drop_stale_keys(self, config: DictConfig, overrides: list[str]) -> None:
        """What an experiment sets for its own model is no argument of the one that the command line puts there."""
        experiments, replaced = choices(overrides, groups())
        for name in experiments if replaced else ():
            loaded = self.repository.load_config(config_path=name)
            content = OmegaConf.to_container(loaded.config, resolve=False) if loaded is not None else {}
            for group in replaced:
                stale = drop_stale_keys(config, content, overrides, group)  # type: ignore[arg-type]
                new = [key for key in stale if key not in _PASSED_OVER]
                _PASSED_OVER.update(new)
                if new:
                    print(
                        f"passed over  {', '.join(new)}: of the {name}, not of this {group}", file=sys.stderr
                    )

    def _refuse_misspelt_groups(self, overrides: list[str]) -> None:
        """Refuses `+experimnt=vqa`, which Hydra takes for a new key that nothing reads."""
        groups = [group for group in self.list_groups("") if group not in NO_CHOICES]
        for override in overrides:
            found = re.fullmatch(r"\+([A-Za-z_]\w*)=[\w/-]+", override)
            if found is None or found.group(1) in (*groups, *NO_CHOICES):
                continue
            near = nearest(found.group(1), groups, most=1).split(" and ")[0]
            if get_close_matches(found.group(1), [near], cutoff=0.75):
                value = override.partition("=")[2]
                raise UserError(
                    f"unknown config group {found.group(1)!r}",
                    valid=nearest(found.group(1), groups),
                    fix=f"+{near}={value}",
                )

    def _process_config_searchpath(self, config_name: str | None, parsed_overrides: Any, repo: Any) -> None:
        names: list[Any] = []
        loaded = repo.load_config(config_path=config_name) if config_name is not None else None
        if loaded is not None and isinstance(loaded.config, DictConfig):
            names += OmegaConf.select(loaded.config, "hydra.searchpath") or []
        for override in parsed_overrides:
            if override.get_key_element() == "hydra.searchpath":
                names += override.value() or []
        for name in names:
            package = str(name).removeprefix("pkg://").split(".")[0]
            if str(name).startswith("pkg://") and package not in ("mmdl", "hydra", *trusted()):
                raise UserError(
                    f"hydra.searchpath: {name!r} would import the package {package!r}",
                    fix=f"--trust {package}",
                )
        super()._process_config_searchpath(config_name, parsed_overrides, repo)


class GuardedHydra(Hydra):
    """Hydra with the guarded config loader."""

    @classmethod
    def create_main_hydra2(cls, task_name: str, config_search_path: ConfigSearchPath) -> GuardedHydra:
        """Makes the process's Hydra for one command.

        Args:
            task_name: The verb; it becomes `hydra.job.name`.
            config_search_path: Where configs are looked for.
        """
        hydra = cls(task_name=task_name, config_loader=GuardedLoader(config_search_path=config_search_path))
        GlobalHydra.instance().initialize(hydra)
        return hydra

    def get_mode(self, config_name: str | None, overrides: list[str]) -> RunMode | None:
        """The mode that the config itself asks for (`hydra.mode`), or None.

        Hydra's own method hides the errors of this composition, and finds them again in a second one.

        Args:
            config_name: The primary config.
            overrides: The overrides of the command line.

        Raises:
            UserError: If the config can't be composed.
        """
        config = self.compose_config(
            config_name,
            overrides,
            run_mode=RunMode.MULTIRUN,
            with_log_configuration=False,
            validate_sweep_overrides=False,
        )
        mode: RunMode | None = config.hydra.mode
        return mode
