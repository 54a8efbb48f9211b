"""Whether a value from a config fits an annotation, read as source text and never evaluated."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from mmdl.cli.source import assigned, find, origin
from mmdl.errors import nearest

SEQUENCES = frozenset({"list", "List", "Sequence", "Iterable", "Collection", "set", "Set", "frozenset"})
MAPPINGS = frozenset({"dict", "Dict", "Mapping", "MutableMapping"})
PATHS = frozenset({"Path", "PathLike", "PurePath"})
_DEPTH = 8


def _parse(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def _last(node: ast.expr) -> str:
    """The last part of a dotted name: `Sequence` of `collections.abc.Sequence`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _arguments(node: ast.Subscript) -> list[ast.expr]:
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _union(node: ast.expr) -> list[ast.expr]:
    """The members of a union, in any of its spellings; the node alone where it is none."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(node.left) + _union(node.right)
    if isinstance(node, ast.Subscript) and _last(node.value) == "Union":
        return [member for argument in _arguments(node) for member in _union(argument)]
    if isinstance(node, ast.Subscript) and _last(node.value) == "Optional":
        return [*_union(node.slice), ast.Constant(None)]
    return [node]


def _expand(node: ast.expr, module: str, depth: int) -> ast.expr:
    """A type alias of mmdl replaced by its meaning; quoted annotations by their content."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _parse(node.value) or node
    if depth < _DEPTH and module and isinstance(node, ast.Name):
        name = origin(module, node.id)
        value = assigned(name)
        if value is not None and find(name) is None:
            return _expand(value, name.rpartition(".")[0], depth + 1)
    return node


def _fits_name(value: object, name: str) -> bool:
    """Whether a value fits a plain name; names that the config can't express pass."""
    match name:
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "None":
            return value is None
    if name in PATHS:
        return isinstance(value, str)
    if name in SEQUENCES or name in ("tuple", "Tuple"):
        return isinstance(value, list | tuple)
    if name in MAPPINGS:
        return isinstance(value, Mapping)
    return True


def _fits_subscript(value: object, node: ast.Subscript, module: str, depth: int) -> bool:
    name, arguments = _last(node.value), _arguments(node)
    if name == "Literal":
        return any(isinstance(one, ast.Constant) and one.value == value for one in arguments)
    if name in ("Annotated", "Final", "InitVar"):
        return _fits(value, arguments[0], module, depth + 1)
    if name in ("tuple", "Tuple") and isinstance(value, list | tuple):
        if isinstance(arguments[-1], ast.Constant) and arguments[-1].value is ...:
            return all(_fits(item, arguments[0], module, depth + 1) for item in value)
        pairs = zip(value, arguments, strict=False)
        return len(value) == len(arguments) and all(
            _fits(item, one, module, depth + 1) for item, one in pairs
        )
    if name in SEQUENCES and isinstance(value, list | tuple):
        return all(_fits(item, arguments[0], module, depth + 1) for item in value)
    if name in MAPPINGS and isinstance(value, Mapping) and len(arguments) == 2:
        return all(_fits(item, arguments[1], module, depth + 1) for item in value.values())
    return _fits_name(value, name)


def _fits(value: object, node: ast.expr, module: str, depth: int = 0) -> bool:
    if isinstance(value, Mapping) and "_target_" in value:
        return True  # an object that is built first
    expanded = _expand(node, module, depth)
    members = _union(expanded)
    if depth > _DEPTH:
        return True
    if len(members) > 1:
        return any(_fits(value, member, module, depth + 1) for member in members)
    if isinstance(expanded, ast.Constant):
        return value is None if expanded.value is None else True
    if isinstance(expanded, ast.Subscript):
        return _fits_subscript(value, expanded, module, depth)
    return _fits_name(value, _last(expanded))


def _literals(node: ast.expr, module: str) -> list[object]:
    found: list[object] = []
    for member in _union(_expand(node, module, 0)):
        inner = _expand(member, module, 0)
        if isinstance(inner, ast.Subscript) and _last(inner.value) == "Literal":
            found += [one.value for one in _arguments(inner) if isinstance(one, ast.Constant)]
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def mismatch(value: object, annotation: str, module: str = "") -> tuple[str, str] | None:
    """What is wrong with a value for an annotated argument.

    Args:
        value: A resolved value of a config: a plain container, str, int, float, bool or None.
        annotation: The annotation's source text; empty where there is none.
        module: The module of mmdl that holds the annotation, for its type aliases.

    Returns:
        None where the value fits or nothing can be said; else what is valid, and a value to try
        (empty where there is none to propose).

    >>> mismatch(3, "int | None"), mismatch("3e-4x", "float")
    (None, ('float', ''))
    >>> mismatch("1e3", "int")
    ('int', '1000')
    >>> mismatch("meen", "Literal['mean', 'max']")
    ('mean, max', 'mean')
    """
    node = _parse(annotation) if annotation else None
    if node is None or _fits(value, node, module):
        return None
    literals = _literals(node, module)
    if literals:
        names = nearest(str(value), [str(one) for one in literals])
        return names, names.split(",")[0]
    number = _number(value) if isinstance(value, str) else None
    members = {_last(_expand(member, module, 0)) for member in _union(_expand(node, module, 0))}
    if number is not None and "int" in members and number == int(number):
        return annotation, str(int(number))
    if number is not None and "float" in members:
        return annotation, repr(number)
    if "bool" in members and str(value).lower() in ("yes", "no", "on", "off", "0", "1"):
        return annotation, "true" if str(value).lower() in ("yes", "on", "1") else "false"
    if "str" in members and isinstance(value, bool | int | float):
        return annotation, f"\"'{value}'\""
    is_sequence = any(name in SEQUENCES or name in ("tuple", "Tuple") for name in members)
    plain = {_last(member.value) for member in _union(node) if isinstance(member, ast.Subscript)}
    if isinstance(value, str | int | float) and (is_sequence or plain & (SEQUENCES | {"tuple", "Tuple"})):
        return annotation, f"[{value}]"
    return annotation, ""
