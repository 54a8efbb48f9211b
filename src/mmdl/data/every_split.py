"""Reads the splits of a source, and says what is wrong with all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from mmdl.errors import UserError, UserErrors

Index = TypeVar("Index")


def every_split(read: Callable[[str], Index | None], splits: Sequence[str]) -> dict[str, Index]:
    """Split -> what was read of it, as far as the source has it.

    Args:
        read: Reads one split; None where there is none.
        splits: Their names.

    Raises:
        UserErrors: The errors of all splits; train and val may come from one file, whose errors are listed once.
    """
    errors: list[UserError] = []
    found: dict[str, Index] = {}
    for split in splits:
        try:
            index = read(split)
        except UserError as error:
            errors += error.errors if isinstance(error, UserErrors) else [error]
            continue
        if index is not None:
            found[split] = index
    if errors:
        raise UserErrors(list({str(error): error for error in errors}.values()))
    return found
