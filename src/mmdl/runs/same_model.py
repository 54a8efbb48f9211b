"""Whether a checkpoint's weights are those of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdl.errors import UserError


def check_same_model(wanted: Mapping[str, Any], given: Mapping[str, Any], path: Path, fix: str) -> None:
    """Refuse the weights of another model.

    Args:
        wanted: The model's tensors by name.
        given: The checkpoint's.
        path: Of the checkpoint, for the message.
        fix: What to do.

    Raises:
        UserError: what is missing, what is left over, which shapes differ.
    """
    missing = [name for name in wanted if name not in given]
    extra = [name for name in given if name not in wanted]
    shapes = [
        f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    problems = [
        f"{label}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        for label, names in (("missing", missing), ("left over", extra), ("other shapes", shapes))
        if names
    ]
    if problems:
        raise UserError(
            f"{path} is a checkpoint of another model ({'; '.join(problems)})",
            valid="a checkpoint of this run's model",
            fix=fix,
        )
