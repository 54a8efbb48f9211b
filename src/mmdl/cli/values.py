"""The values of a composed config: what is missing, what refers to nothing, the rest as plain containers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import Container, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import (
    InterpolationKeyError,
    InterpolationToMissingValueError,
    OmegaConfBaseException,
)

from mmdl.errors import UserError, nearest


def dotted(name: object) -> str:
    """A full key of OmegaConf the way the command line takes it: `callbacks.0.monitor`."""
    return str(name or "").replace("[", ".").replace("]", "").lstrip(".")


def value_errors(config: Any, *, missing: bool = True) -> list[UserError]:
    """One error for each value that is missing (`???`) or that refers to a key that does not exist.

    Interpolations that only fail because a resolver is not registered yet are left to the program.

    Args:
        config: A composed `DictConfig` or `ListConfig`.
        missing: Whether to report `???`.
    """
    return list(_value_errors(config, missing))


def _value_errors(config: Any, missing: bool) -> Iterator[UserError]:
    for key in range(len(config)) if isinstance(config, ListConfig) else list(config.keys()):
        node = config._get_node(key)
        name = dotted(config._get_full_key(key))
        if node is None:
            continue
        if node._is_interpolation():
            try:
                node._dereference_node()
            except (InterpolationKeyError, InterpolationToMissingValueError) as error:
                yield interpolation_error(error, name, str(node._value()), config._get_root())
            except OmegaConfBaseException:
                continue  # an unknown or failing resolver: reported where the value is read
        elif node._is_missing():
            if missing:
                yield UserError(f"{name} has no value (???)", fix=f"{name}=VALUE")
        elif isinstance(node, Container) and not node._is_none():
            yield from _value_errors(node, missing)


def interpolation_error(error: Exception, name: str, text: str, root: object) -> UserError:
    """The error for a value that refers to a missing value, or to a key that does not exist.

    Args:
        error: What OmegaConf raised.
        name: Full key of the value.
        text: The value as written, such as `${data.num_classes}`.
        root: The whole config, for the nearest keys.
    """
    if isinstance(error, InterpolationToMissingValueError):
        referred = re.findall(r"\$\{([\w.]+)\}", text)
        return UserError(
            f"{name}: {text} refers to a value that is missing",
            fix=f"{referred[0]}=VALUE" if referred else "",
        )
    wanted = re.search(r"Interpolation key '([^']*)' not found", str(error))
    valid = near_keys(root, wanted.group(1)) if wanted and isinstance(root, DictConfig) else ""
    return UserError(f"{name}: {text} refers to a key that does not exist", valid=valid)


def near_keys(root: DictConfig, key: str) -> str:
    """The keys of the deepest existing node on the way to `key`, as full names, nearest first."""
    node: Any = root
    prefix, wanted = "", key
    parts = key.split(".")
    for depth, part in enumerate(parts):
        wanted = part
        if not isinstance(node, DictConfig) or part not in node:
            break
        node = None if OmegaConf.is_missing(node, part) else node._get_node(part)
        prefix = ".".join(parts[: depth + 1]) + "."
    if not isinstance(node, DictConfig) or node._is_none() or node._is_interpolation():
        return ""
    names = [str(name) for name in node if name != "hydra"]
    line = nearest(wanted, names)
    return (
        ", ".join(one if one.startswith("and ") else prefix + one for one in line.split(", ")) if line else ""
    )


def resolved(config: Any) -> tuple[Any, Any, list[UserError]]:
    """A config as plain containers, whatever state it is in.

    Args:
        config: A `DictConfig`, or plain dicts and lists.

    Returns:
        The content with every interpolation resolved (one that can't be is None), the content with
        interpolations as text, and the errors of those that refer to a key that does not exist.
    """
    node = config if OmegaConf.is_config(config) else OmegaConf.create(config)
    raw = OmegaConf.to_container(node, resolve=False)
    try:
        return OmegaConf.to_container(node, resolve=True), raw, []
    except OmegaConfBaseException:
        return _lenient(node), raw, value_errors(node, missing=False)


def _lenient(node: Any) -> Any:
    if isinstance(node, DictConfig | ListConfig) and (node._is_none() or node._is_missing()):
        return "???" if node._is_missing() else None
    if isinstance(node, DictConfig):
        return {key: _lenient_item(node, key) for key in node}
    if isinstance(node, ListConfig):
        return [_lenient_item(node, index) for index in range(len(node))]
    return node


def _lenient_item(node: Any, key: Any) -> Any:
    child = node._get_node(key)
    if child is not None and child._is_missing():
        return "???"
    try:
        return _lenient(node[key])
    except OmegaConfBaseException:
        return None
