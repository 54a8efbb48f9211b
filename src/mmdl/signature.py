"""Binds a config to signatures and builds nothing: unknown, missing, mistyped arguments, all at once."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from mmdl.cli.annotations import mismatch
from mmdl.cli.source import Source, definitions, find, module_file, origin
from mmdl.errors import UserError, nearest
from mmdl.instantiate import allowed, locate, refusal

HYDRA_KEYS = frozenset({"_target_", "_args_", "_partial_", "_recursive_", "_convert_"})


class Parameter(NamedTuple):
    """One argument of a target.

    Args:
        name: Its name.
        required: True where it has no default.
        annotation: Its annotation as source text; empty where there is none.
        module: The module in which the annotation's names are to be looked up; empty outside mmdl.
    """

    name: str
    required: bool
    annotation: str
    module: str


class Signature(NamedTuple):
    """The arguments of a target, in order.

    Args:
        parameters: Those that can be given by name.
        open: True where any further name is accepted (`**kwargs`).
    """

    parameters: dict[str, Parameter]
    open: bool


def _of_arguments(arguments: ast.arguments, module: str, *, skip_first: bool) -> Signature:
    positional = [*arguments.posonlyargs, *arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    pairs = [(argument, index < first_default) for index, argument in enumerate(positional)][
        int(skip_first) :
    ]
    pairs += [
        (argument, default is None)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    parameters = {
        argument.arg: Parameter(
            argument.arg,
            required,
            ast.unparse(argument.annotation) if argument.annotation is not None else "",
            module,
        )
        for argument, required in pairs
    }
    unpacked = _unpacked(arguments.kwarg, module)
    return Signature({**unpacked, **parameters}, arguments.kwarg is not None and not unpacked)


def _unpacked(argument: ast.arg | None, module: str) -> dict[str, Parameter]:
    """The keys of a `TypedDict` of mmdl's in `**options: Unpack[Options]` (PEP 692)."""
    annotation = argument.annotation if argument is not None else None
    if not (
        isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value).split(".")[-1] == "Unpack"
    ):
        return {}
    name = origin(module, ast.unparse(annotation.slice))
    source = find(name)
    if source is None:  # a module that passes it on
        passing, _, last = name.rpartition(".")
        source = find(origin(passing, last))
    if source is None or not isinstance(source.node, ast.ClassDef):
        return {}
    total = all(word.arg != "total" or ast.literal_eval(word.value) for word in source.node.keywords)
    fields = _of_fields(source.node, source.module)
    return {name: field._replace(required=total) for name, field in fields.items()}


def _of_fields(node: ast.ClassDef, module: str) -> dict[str, Parameter]:
    """The fields of a dataclass, a `NamedTuple` or a `TypedDict`, as arguments."""
    found: dict[str, Parameter] = {}
    for statement in node.body:
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        annotation = ast.unparse(statement.annotation)
        value = statement.value
        options = {word.arg: word.value for word in value.keywords} if isinstance(value, ast.Call) else {}
        no_argument = isinstance(options.get("init"), ast.Constant) and not ast.literal_eval(options["init"])
        if "ClassVar" in annotation or no_argument:
            continue
        is_field = isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] == "field"
        has_default = bool({"default", "default_factory"} & options.keys()) if is_field else value is not None
        name = statement.target.id
        found[name] = Parameter(name, not has_default, annotation.removeprefix("InitVar"), module)
    return found


def _of_class(source: Source) -> Signature | None:
    """The constructor's arguments; those of a base within mmdl where the class inherits them."""
    node = source.node
    assert isinstance(node, ast.ClassDef)
    origins = [origin(source.module, ast.unparse(base)) for base in node.bases]
    bases = [base for base in map(find, origins) if base is not None and isinstance(base.node, ast.ClassDef)]
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            own = _of_arguments(statement.args, source.module, skip_first=True)
            inherited = _of_class(bases[0]) if own.open and len(node.bases) == 1 and bases else None
            if inherited is None:
                return own
            return Signature({**inherited.parameters, **own.parameters}, inherited.open)
    decorators = {ast.unparse(decorator).split("(")[0].split(".")[-1] for decorator in node.decorator_list}
    if "dataclass" in decorators or "typing.NamedTuple" in origins:
        above = [signature.parameters for base in bases if (signature := _of_class(base)) is not None]
        merged = {name: parameter for parameters in above for name, parameter in parameters.items()}
        return Signature({**merged, **_of_fields(node, source.module)}, False)
    for base in bases:
        signature = _of_class(base)
        if signature is not None:
            return signature
    if not node.bases or origins == ["torch.nn.Module"]:
        return Signature({}, False)
    return None


def _of_object(target: object) -> Signature | None:
    try:
        found = inspect.signature(target)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None  # built-in without a text signature
    parameters = {
        name: Parameter(
            name,
            parameter.default is parameter.empty,
            "" if parameter.annotation is parameter.empty else inspect.formatannotation(parameter.annotation),
            "",
        )
        for name, parameter in found.parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    return Signature(parameters, any(one.kind is one.VAR_KEYWORD for one in found.parameters.values()))


def signature_of(target: str, *, imports: bool = False) -> Signature | None:
    """The arguments of a target.

    Args:
        target: An allowed dotted name.
        imports: Import it where the source can't tell (always so outside mmdl).

    Returns:
        The signature, or None where it is unknown.

    Raises:
        ImportError: If `imports` and a module can't be imported.
        AttributeError: If `imports` and the module has no such name.
    """
    source = find(target)
    if source is not None:
        if isinstance(source.node, ast.ClassDef):
            found = _of_class(source)
        else:
            found = _of_arguments(source.node.args, source.module, skip_first=False)
        if found is not None:
            return found
    return _of_object(locate(target)) if imports else None


def _nodes(
    config: object, raw: object, path: str
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Every node with a `_target_`: its path, its resolved and its unresolved content."""
    if isinstance(config, Mapping):
        # A node that is a copy of another by interpolation: so is all that is in it.
        copied = dict.fromkeys(config, raw) if isinstance(raw, str) else {}
        unresolved = raw if isinstance(raw, Mapping) else copied
        if "_target_" in config:
            yield path, config, unresolved
        for key, value in config.items():
            yield from _nodes(value, unresolved.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(config, list | tuple):
        for index, value in enumerate(config):
            inner = raw[index] if isinstance(raw, list) and index < len(raw) else None
            yield from _nodes(value, inner, f"{path}.{index}" if path else str(index))


def _unknown_target(target: object, path: str) -> UserError:
    """The error for a target that is not allowed: a misspelt name of mmdl's own, or a refusal."""
    module, _, name = str(target).rpartition(".")
    if module_file(module) is not None and definitions(module):
        return UserError(
            f"{path}._target_".lstrip(".") + f": {module} has no public class {name!r}",
            valid=nearest(name, definitions(module)),
        )
    return refusal(target, path)


def _bind(
    path: str, node: Mapping[str, Any], raw: Mapping[str, Any], signature: Signature, given: Collection[str]
) -> Iterator[UserError]:
    target, prefix = node["_target_"], f"{path}." if path else ""
    names = list(signature.parameters)
    positional = node.get("_args_")
    by_position = set(names[: len(positional)]) if isinstance(positional, list) else set()
    for key in node.keys() - HYDRA_KEYS - signature.parameters.keys() if not signature.open else ():
        near = nearest(key, names)
        yield UserError(
            f"{prefix}{key}: {target} has no argument {key!r}",
            valid=near or "no arguments",
            fix=(f"{prefix}{near.split(',')[0]}={node[key]}, or " if near else "") + f"~{prefix}{key}",
        )
    for name, parameter in signature.parameters.items():
        hint = f"{prefix}{name}={parameter.annotation or 'VALUE'}"
        is_given = name in by_position or name in given
        if name not in node:
            if parameter.required and not is_given and not node.get("_partial_"):
                yield UserError(f"{prefix}{name} is missing: {target} needs it", fix=f"+{hint}")
        elif node[name] == "???":
            if not is_given and not node.get("_partial_"):
                yield UserError(f"{prefix}{name} has no value: {target} needs it", fix=hint)
        elif not (node[name] is None and isinstance(raw.get(name), str)):  # a fact that is not known yet
            wrong = mismatch(node[name], parameter.annotation, parameter.module)
            if wrong is not None:
                valid, fix = wrong
                yield UserError(
                    f"{prefix}{name}: {node[name]!r} does not fit {target}",
                    valid=valid,
                    fix=f"{prefix}{name}={fix}" if fix else "",
                )


def binding_errors(
    config: Any,
    *,
    provided: Mapping[str, Collection[str]] | None = None,
    imports: bool = False,
    path: str = "",
) -> list[UserError]:
    """Binds every `_target_` node of a composed config to its signature, and lists all that does not fit.

    mmdl's own targets are read as source text and not imported, so this takes milliseconds.

    Args:
        config: A `DictConfig`, or plain dicts and lists.
        provided: Arguments that the program supplies at run time: target or config path -> their names.
        imports: Import third-party targets too and bind them by `inspect.signature`.
        path: Config path of `config` itself, for the errors.

    Returns:
        One error for each target that is not allowed or does not exist, each unknown or missing argument,
        each value of a wrong type, and each `???`. A null that comes from an interpolation passes.
    """
    from mmdl.cli.values import resolved

    provided = provided or {}
    plain, raw, errors = resolved(config)
    for where, node, unresolved in _nodes(plain, raw, path):
        target = node["_target_"]
        if not (isinstance(target, str) and allowed(target)):
            errors.append(_unknown_target(target, where))
            continue
        try:
            signature = signature_of(target, imports=imports)
        except (ImportError, AttributeError) as error:
            errors.append(UserError(f"{where}._target_: can't import {target}: {error}".lstrip(".")))
            continue
        if signature is not None:
            given = {*provided.get(where, ()), *provided.get(target, ())}
            errors.extend(_bind(where, node, unresolved, signature, given))
    return errors
