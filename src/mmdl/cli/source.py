"""Static look-up of mmdl's own modules: what is defined where, without importing anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mmdl.cli.paths import PACKAGE

Definition = ast.ClassDef | ast.FunctionDef


class Source(NamedTuple):
    """A class or function as the source text defines it.

    Args:
        module: Dotted name of the module that holds the definition.
        path: Its file.
        node: The definition.
    """

    module: str
    path: Path
    node: Definition


def is_public_name(name: str) -> bool:
    """Whether a dotted name has identifiers only, none of which starts with an underscore.

    >>> is_public_name("mmdl.models.vqa.VQAModel"), is_public_name("mmdl.models.vqa.__builtins__")
    (True, False)
    """
    return all(part.isidentifier() and not part.startswith("_") for part in name.split("."))


def module_file(module: str) -> Path | None:
    """The file of one of mmdl's own modules, or None where there is no such module."""
    parts = module.split(".")
    if parts[0] != "mmdl" or not all(part.isidentifier() for part in parts):
        return None
    base = PACKAGE.joinpath(*parts[1:])
    for path in (base.with_name(base.name + ".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def syntax_tree(path: Path) -> ast.Module:
    """The parsed source of a file; each file is read once."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def definitions(module: str) -> dict[str, Definition]:
    """The public classes and functions that a module of mmdl defines itself, not those that it imports."""
    path = module_file(module)
    if path is None:
        return {}
    nodes = (node for node in syntax_tree(path).body if isinstance(node, ast.ClassDef | ast.FunctionDef))
    return {node.name: node for node in nodes if not node.name.startswith("_")}


def find(name: str) -> Source | None:
    """The definition of a public class or function of mmdl.

    Args:
        name: Dotted name such as `mmdl.models.vqa.VQAModel`.

    Returns:
        The definition, or None where the named module does not define it itself: a name that
        reaches another module through an import (`mmdl.data.base.os.system`) is not found.
    """
    module, _, last = name.rpartition(".")
    path = module_file(module)
    if path is None or not is_public_name(name):
        return None
    node = definitions(module).get(last)
    return None if node is None else Source(module, path, node)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Top-level statements, those under `if TYPE_CHECKING:` included."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If):
            yield from statement.body


def origin(module: str, local: str) -> str:
    """The full name that a bare or dotted name means inside a module of mmdl.

    Args:
        module: The module in which the name is used.
        local: The name as written, such as `Fusion` or `nn.Module`.

    Returns:
        The dotted name with its import followed one step; `<module>.<local>` for what is not imported.
    """
    path = module_file(module)
    head, _, rest = local.partition(".")
    tail = f".{rest}" if rest else ""
    package = module.split(".") if path is not None and path.name == "__init__.py" else module.split(".")[:-1]
    for statement in _statements(syntax_tree(path).body) if path is not None else ():
        if isinstance(statement, ast.ImportFrom):
            base = package[: len(package) - statement.level + 1] if statement.level else []
            source = ".".join([*base, *([statement.module] if statement.module else [])])
            for alias in statement.names:
                if (alias.asname or alias.name) == head:
                    return f"{source}.{alias.name}{tail}"
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.asname == head:
                    return f"{alias.name}{tail}"
                if alias.asname is None and alias.name.split(".")[0] == head:
                    return local
    return f"{module}.{local}"


def assigned(name: str) -> ast.expr | None:
    """The value that a module of mmdl assigns to a top-level name, such as a type alias; else None."""
    module, _, last = name.rpartition(".")
    path = module_file(module)
    for statement in syntax_tree(path).body if path is not None else ():
        if isinstance(statement, ast.Assign):
            targets: list[ast.expr] = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == last for target in targets):
            return statement.value
    return None
