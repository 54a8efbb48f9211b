"""Where and why an override of the command line can't be read."""

from __future__ import annotations

from typing import Any

from antlr4.error.ErrorListener import ErrorListener  # type: ignore[import-untyped]
from hydra.core.override_parser.overrides_parser import (  # type: ignore[attr-defined]
    CommonTokenStream,
    InputStream,
    OverrideLexer,
    OverrideParser,
)

from mmdl.errors import UserError

VALID = "key=value, key=[a,b], key={a:1}, +new.key=value, ~key"


class _Columns(ErrorListener):
    """Keeps the columns at which the grammar fails, and lets the parser go on."""

    def __init__(self) -> None:
        self.columns: list[int] = []

    def syntaxError(  # noqa: N802 - antlr's name
        self, recognizer: Any, symbol: Any, line: int, column: int, message: str, error: Any
    ) -> None:
        self.columns.append(column)


def failing_column(override: str) -> int | None:
    """The column (from 0) at which Hydra's override grammar fails, or None where it does not.

    >>> failing_column("optimizer.lr=[1,2")
    17
    """
    listener = _Columns()
    lexer = OverrideLexer(InputStream(override))
    parser = OverrideParser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(listener)
    parser.override()  # type: ignore[no-untyped-call]
    return listener.columns[0] if listener.columns else None


def syntax_error(override: str, message: str) -> UserError:
    """The error for an override that can't be read.

    Args:
        override: The word of the command line.
        message: What Hydra's parser said.
    """
    column = failing_column(override)
    said = [line for line in message.splitlines() if override not in line and line.strip(" ^")]
    reason = next((line for line in said if not line.startswith("See http")), "")
    if not reason and column is not None:
        reason = f"unexpected {override[column : column + 1]!r}"
    mark = f"\n    {override}\n    {' ' * column}^" if column is not None else ""
    key, equals, value = override.partition("=")
    fix = f"{key}='\"{value}\"' if it is meant as text" if equals and '"' not in value else ""
    return UserError(f"can't read the override {override!r}: {reason}{mark}", valid=VALID, fix=fix)
