"""Turns what Hydra, OmegaConf and YAML raise into errors that a user can act on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import (
    InterpolationKeyError,
    InterpolationResolutionError,
    InterpolationToMissingValueError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from mmdl.cli.override_syntax import syntax_error
from mmdl.cli.paths import shown
from mmdl.cli.values import dotted, interpolation_error, near_keys
from mmdl.errors import UserError, nearest

if TYPE_CHECKING:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

EXTRAS = {"joblib": "joblib", "optuna": "optuna", "submitit_local": "slurm", "submitit_slurm": "slurm"}
"""Hydra launchers and sweepers that come with an extra of mmdl."""


NO_CHOICES = ("hydra", "common")
"""Config groups from which nothing is chosen on the command line."""


def _option(
    error: Any, message: str, config_name: str | None, overrides: Sequence[str], loader: Any
) -> UserError:
    """An option of a config group, or the primary config, that does not exist."""
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    if group and error.options is None and loader is not None:  # a list of options: Hydra does not name them
        error.options = loader.get_group_options(group)
    where = re.match(r"In '([^']+)':", message)
    said = any(one.lstrip("+").split("=")[0].split("@")[0] == group for one in overrides)
    chooser = where.group(1) if where and not said else config_name
    origin = f" (in {chooser}.yaml)" if chooser != config_name else ""
    if not group or error.options is None:
        return UserError(message.split("\nConfig search path")[0].strip(), fix="--info searchpath")
    if name in EXTRAS and group in ("hydra/launcher", "hydra/sweeper"):
        return UserError(
            f"{group}={name} is not installed",
            valid=nearest(name, error.options),
            fix=f"pip install 'mmdl[{EXTRAS[name]}]'",
        )
    return UserError(
        f"unknown {group} {name!r}{origin}",
        valid=nearest(name, error.options) or "none: the group is empty",
        fix="" if group.startswith("hydra/") else f"python -m mmdl ls {group}",
    )


def _unknown_key(error: Any, given: str, loader: ConfigLoaderImpl) -> UserError:
    """A key that no config has, with the nearest that one has."""
    key, _, value = given.partition("=")
    root = error.parent_node._get_root() if error.parent_node is not None else None
    if "." not in key:
        groups = [group for group in loader.list_groups("") if group not in NO_CHOICES]
        valid = nearest(key, [*(str(name) for name in root or () if name != "hydra"), *groups])
    else:
        valid = near_keys(root, key) if isinstance(root, DictConfig) else ""
    first = valid.split(",")[0]
    rest = key.split(".")[first.count(".") + 1 :]
    meant = ".".join([first, *rest])
    return UserError(
        f"unknown config key {key!r}",
        valid=valid,
        fix=f"{meant}={value}, or +{given} to add a new key" if first else f"+{given} to add a new key",
    )


def _defined_in(loader: Any, config_name: str | None, overrides: Sequence[str], key: str) -> str:
    """Where the node of a key is defined: the file of the last config composed into it."""
    from hydra.types import RunMode

    head = key.rpartition(".")[0]
    found = ""
    for default in loader.compute_defaults_list(config_name, list(overrides), RunMode.RUN).defaults:
        package = default.package or ""
        if package and head and (head == package or head.startswith(f"{package}.")):
            for source in loader.get_sources():
                if source.scheme() == "file" and source.is_config(default.config_path):
                    found = shown(Path(source.path) / f"{default.config_path}.yaml")
                    break
    return found


def _composition(message: str, overrides: Sequence[str]) -> UserError:
    """Hydra's other messages, with what to run instead where that is known."""
    name = re.search(r"(?:Could not override|Multiple values for) '?([\w./@-]+?)'?\.(?:\s|$)", message)
    group = name.group(1) if name else ""
    given = next((one for one in overrides if one.lstrip("+~").split("=")[0] == group), "")
    first = message.strip().splitlines()[0] if message.strip() else "the config can't be composed"
    if "No match in the defaults list" in message and given:
        return UserError(f"{given!r} replaces nothing: no {group} is chosen yet", fix=f"+{given}")
    if message.startswith("Multiple values for") and given:
        return UserError(f"{given!r} adds a second {group}: one is chosen already", fix=given.lstrip("+"))
    if "Could not append to config" in message:
        given = re.findall(r"'([^']+)'", message)[1]
        return UserError(first, fix=given)
    if message.startswith("Ambiguous value"):
        given = re.findall(r"'([^']+)'", message)[0]
        key, _, value = given.partition("=")
        return UserError(
            first, valid=f"{key}=[{value}] (a list), {key}='\"{value}\"' (text)", fix=f"-m {given}"
        )
    if "requires --multirun" in message:
        return UserError(first, fix="add -m to run all values")
    if message.startswith("You must specify"):
        options = [line.strip() for line in message.splitlines()[2:] if line.strip()]
        return UserError(first.split(", e.g")[0], valid=", ".join(options))
    lines = [line.strip() for line in message.split("\nConfig search path")[0].splitlines() if line.strip()]
    return UserError(first, valid=" ".join(lines[1:]))


def _yaml(error: Any) -> UserError:
    mark = error.problem_mark or error.context_mark
    where = f"{shown(Path(mark.name))}:{mark.line + 1}:{mark.column + 1}: " if mark is not None else ""
    return UserError(f"{where}malformed YAML: {error.problem or error.context or error}")


def _undecodable(loader: ConfigLoaderImpl) -> str:
    """The config files of the search path that are not UTF-8."""
    found = []
    for source in loader.get_sources():
        for path in Path(source.path).rglob("*.yaml") if source.scheme() == "file" else ():
            try:
                path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                found.append(shown(path))
    return ", ".join(found)


def as_user_error(
    error: BaseException,
    loader: Any = None,
    config_name: str | None = None,
    overrides: Sequence[str] = (),
) -> UserError:
    """The user's error that an exception of Hydra, OmegaConf or PyYAML stands for.

    Args:
        error: What was raised while a config was composed or read.
        loader: Hydra's config loader, for nearest names and files; None after composition.
        config_name: The primary config.
        overrides: The overrides of the command line.
    """
    if isinstance(error, UserError):
        return error
    message, cause = str(error), error.__cause__
    if isinstance(error, OverrideParseException):
        return syntax_error(error.override, error.message)
    if isinstance(error, MissingConfigException):
        return _option(error, message, config_name, overrides, loader)
    if isinstance(error, yaml.MarkedYAMLError):
        return _yaml(error)
    if isinstance(error, UnicodeDecodeError) and loader is not None:
        return UserError(f"not UTF-8 text: {_undecodable(loader)}", valid="YAML files in UTF-8")
    if isinstance(error, OmegaConfBaseException):
        return _omegaconf(error)
    if isinstance(error, HydraException) and isinstance(cause, OmegaConfBaseException):
        given = re.search(r"To append to your config use \+(.+)", message)
        if given is None or loader is None:
            said = re.search(r"Error merging override (.+)", message)
            inner = _omegaconf(cause)
            return UserError(
                f"{said.group(1)}: {inner.given}" if said else inner.given, inner.valid, inner.fix
            )
        unknown = _unknown_key(cause, given.group(1), loader)
        others = [one for one in overrides if one != given.group(1)]
        where = _defined_in(loader, config_name, others, given.group(1).split("=")[0])
        return UserError(unknown.given + (f" (in {where})" if where else ""), unknown.valid, unknown.fix)
    if "Config group override must be a string" in message:
        numbers = [one for one in overrides if re.fullmatch(r"\+?[\w/@]*=\s*(?!\[)[-\d.]+|=.*", one)]
        return UserError(
            f"{' '.join(numbers) or message}: a config group takes a name", fix="python -m mmdl ls"
        )
    return _composition(message, overrides)


def _omegaconf(error: OmegaConfBaseException) -> UserError:
    key = dotted(error.full_key)
    first = str(error).splitlines()[0]
    root = error.parent_node._get_root() if error.parent_node is not None else None
    if isinstance(error, InterpolationResolutionError):
        node = error.parent_node._get_node(error.key) if error.parent_node is not None else None
        if node is not None and not isinstance(node, list) and node._is_interpolation():
            if isinstance(error, InterpolationKeyError | InterpolationToMissingValueError):
                return interpolation_error(error, key, str(node._value()), root)
            return UserError(f"{key}: {node._value()} can't be resolved: {first}")
        return UserError(f"{key}: {first}" if key else first)
    if isinstance(error, MissingMandatoryValue):
        return UserError(f"{key} has no value (???)", fix=f"{key}=VALUE")
    valid = near_keys(root, key) if isinstance(root, DictConfig) and "not in struct" in first else ""
    return UserError(f"{key}: {first}" if key and key not in first else first, valid)
