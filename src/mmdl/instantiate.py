"""The only place where a config turns into objects, and the list of names that it may name.

Hydra imports and calls whatever stands at `_target_`; its own blocklist let 23 of 52 dangerous names through
(CVE-2026-68508). So mmdl allows exact names instead: its own public classes, the names that the packaged
`conf/` itself uses, and packages that the user trusts on the command line (`--trust NAME`) or in
`MMDL_TRUST`. A config file can't extend the list.
"""

from __future__ import annotations

import ast
import functools
import importlib
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Any

from mmdl.cli.paths import packaged_conf
from mmdl.cli.source import find, is_public_name
from mmdl.errors import UserError, UserErrors, nearest

KINDS = (
    *("models", "tasks", "data", "losses", "metrics", "optim", "evaluators", "callbacks", "studies"),
    "strategies",
)
"""The sub-packages of mmdl whose public classes a config may name."""

TRUST_VARIABLE = "MMDL_TRUST"
"""The environment variable with the trusted packages, comma-separated."""

_TARGET = re.compile(r"""(?<![\w.])_target_\s*:\s*["']?([A-Za-z_][\w.]*)["']?\s*(?:[,}#]|$)""", re.MULTILINE)


@cache
def packaged_targets() -> frozenset[str]:
    """Every `_target_` that the packaged configs name literally; the caller's `conf/` is never read here."""
    names: set[str] = set()
    for path in packaged_conf().rglob("*.yaml"):
        lines = path.read_text(encoding="utf-8").splitlines()
        names.update(_TARGET.findall("\n".join(line for line in lines if not line.lstrip().startswith("#"))))
    return frozenset(name for name in names if is_public_name(name))


def trusted() -> tuple[str, ...]:
    """The packages that the user trusts, from `MMDL_TRUST` (`--trust` is put there too)."""
    return tuple(name.strip() for name in os.environ.get(TRUST_VARIABLE, "").split(",") if name.strip())


def _below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def locate(name: str) -> object:
    """The object at a dotted name, imported the way Hydra does it: attribute first, then sub-module.

    Args:
        name: A name that has been found to be allowed.

    Raises:
        ImportError: If a module of the name can't be imported.
        AttributeError: If its last part is no attribute.
    """
    parts = name.split(".")
    found: object = importlib.import_module(parts[0])
    for count, part in enumerate(parts[1:], start=2):
        if isinstance(found, ModuleType) and not hasattr(found, part):
            try:
                found = importlib.import_module(".".join(parts[:count]))
            except ModuleNotFoundError as error:
                if error.name != ".".join(parts[:count]):
                    raise
                raise AttributeError(f"{'.'.join(parts[: count - 1])} has no {part!r}") from error
        else:
            found = getattr(found, part)
    return found


def _trusted_definition(name: str) -> bool:
    """Whether a trusted package defines the object itself.

    `mypackage.module.os.system` lies below `mypackage` by its name only.
    """
    packages = trusted()
    if not _below(name, packages):
        return False
    try:
        found = locate(name)
    except (ImportError, AttributeError):
        return True  # nothing can be called under this name; what is wrong with it is said where it is used
    return _below(str(getattr(found, "__module__", "")), tuple(package.split(".")[0] for package in packages))


def allowed(name: str) -> bool:
    """Whether a config may name this class or function as `_target_`.

    Args:
        name: A full dotted name.

    Returns:
        True for a public class that a module of `mmdl.{models,tasks,data,...}` defines itself, for a name
        that the packaged configs use literally, and for what a trusted package defines.

    >>> allowed("os.system"), allowed("mmdl.data.base.os.system")
    (False, False)
    """
    if not is_public_name(name):
        return False
    if name in packaged_targets():
        return True
    parts = name.split(".")
    if parts[0] == "mmdl" and len(parts) > 3 and parts[1] in KINDS:
        source = find(name)
        if source is not None and isinstance(source.node, ast.ClassDef):
            return True
    return _trusted_definition(name)


def collect_targets(config: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every `_target_` inside a plain container, at any depth.

    Args:
        config: Plain dicts and lists, as `OmegaConf.to_container` returns them.
        path: Config path of `config` itself.

    Yields:
        The config path of the node (`callbacks.0`) and the value of its `_target_`.
    """
    if isinstance(config, Mapping):
        if "_target_" in config:
            yield path, config["_target_"]
        for key, value in config.items():
            yield from collect_targets(value, f"{path}.{key}" if path else str(key))
    elif isinstance(config, list | tuple):
        for index, value in enumerate(config):
            yield from collect_targets(value, f"{path}.{index}" if path else str(index))


def refusal(name: object, path: str) -> UserError:
    """The error for a target that is not on the list.

    Args:
        name: The value of `_target_`.
        path: Config path of its node.
    """
    where = f"{path}._target_" if path else "_target_"
    known = nearest(str(name), packaged_targets(), most=3)
    package = str(name).split(".")[0]
    is_other = isinstance(name, str) and package.isidentifier() and package != "mmdl"
    return UserError(
        f"{where}: {name!r} is not on the list of names that a config may call",
        valid="public classes of mmdl, and the names that mmdl's own conf/ uses"
        + (f": {known}" if known else ""),
        fix=f"if you trust every config that you use with the package {package!r}: --trust {package}"
        if is_other
        else "python -m mmdl ls",
    )


def target_errors(config: object, path: str = "") -> list[UserError]:
    """One error for each target in a plain container that is not allowed; empty where all are.

    Args:
        config: Plain dicts and lists.
        path: Config path of `config` itself, for the errors.
    """
    return [
        refusal(name, where)
        for where, name in collect_targets(config, path)
        if not (isinstance(name, str) and allowed(name))
    ]


def _plain(config: Any) -> tuple[Any, str]:
    """The config as plain containers with all interpolations resolved, and its path in the whole config."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from mmdl.cli.config_errors import as_user_error

    where = str(config._get_full_key(None) or "") if OmegaConf.is_config(config) else ""
    try:
        node = config if OmegaConf.is_config(config) else OmegaConf.create(config)
        plain = OmegaConf.to_container(node, resolve=True)
        # Hydra resolves once more. An escaped "\${...}" that came out of the first pass as text must not
        # become a node in the second, with a `_target_` that nobody has looked at.
        again = OmegaConf.to_container(OmegaConf.create(plain), resolve=True)
    except OmegaConfBaseException as error:
        raise as_user_error(error) from error
    if again != plain:
        raise UserError(
            f"{where or 'the config'}: a value changes when it is resolved twice (an escaped '\\${{...}}')",
            valid="values without '${' after one resolution",
        )
    return plain, where


def _missing(node: Mapping[str, Any], path: str) -> list[UserError]:
    names = [f"{path}.{key}" if path else key for key, value in node.items() if value == "???"]
    return [UserError(f"{name} has no value", fix=f"{name}=VALUE") for name in names]


def instantiate(config: Any, *args: Any, **kwargs: Any) -> Any:
    """Builds the objects that a config names: the only way from a `_target_` to a call.

    Args:
        config: A `DictConfig`, `ListConfig`, or plain dict or list, with `_target_` nodes at any depth.
            Hydra's `_args_`, `_partial_`, `_recursive_` and `_convert_` work as usual; `_convert_` is
            `all` where the config does not say, so that constructors get plain dicts and lists.
        *args: Positional arguments for the top node, handed over untouched.
        **kwargs: Arguments for the top node, handed over untouched; they replace the config's own.

    Returns:
        The object; a `functools.partial` where the config says `_partial_: true`; a dict or list of
        objects where the top is one; None for None.

    Raises:
        UserError: If any target is not allowed (all are named at once, before the first import), if a
            value is missing, if the arguments don't fit the signature, or if an optional package is
            not installed.
    """
    if config is None:
        return None
    plain, path = _plain(config)
    errors = target_errors(plain, path)
    if errors:
        raise UserErrors(errors)
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate as hydra_instantiate

    try:
        if not (isinstance(plain, dict) and "_target_" in plain):
            assert not args, "positional arguments need a top node with a _target_"
            assert not kwargs, "arguments need a top node with a _target_"
            return hydra_instantiate(plain, _convert_="all")
        node = {"_convert_": "all", **{key: value for key, value in plain.items() if key not in kwargs}}
        if args:
            node.pop("_args_", None)
        is_partial = bool(node.get("_partial_"))
        missing = [] if is_partial else _missing(node, path)
        if missing:
            raise UserErrors(missing)
        # Objects of the program go past Hydra: it would copy a vocabulary into a config, value by value.
        target = hydra_instantiate({**node, "_partial_": True})
        if is_partial:
            return functools.partial(target, *args, **kwargs) if args or kwargs else target
        return target(*args, **kwargs)
    except (InstantiationException, TypeError, ImportError) as error:
        _explain(error, plain, path, {*kwargs}, len(args))
        raise


def _explain(error: BaseException, plain: Any, path: str, given: set[str], positional: int) -> None:
    """Raises a `UserError` where the failure is the config's and not a bug."""
    from mmdl.signature import binding_errors

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            raise cause from error
        if isinstance(cause, ModuleNotFoundError) and not str(cause.name).startswith("mmdl"):
            raise UserError(
                f"{path or 'the config'} needs a package that is not installed: {cause.name or cause}",
                fix=f"pip install {cause.name.split('.')[0]}" if cause.name else "",
            ) from error
        cause = cause.__cause__
    if positional == 0:
        errors = binding_errors(plain, provided={path: given}, imports=True, path=path)
        if errors:
            raise UserErrors(errors) from error
