"""Paths in a saved configuration after its run folder was moved: `${run.dir}` is resolved in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def moved(value: Any, before: str, after: str) -> Any:
    """Plain containers with paths into another folder.

    Args:
        value: Of a configuration.
        before: The folder that paths lead into.
        after: The folder in its place.

    >>> moved({"folder": "runs/x/checkpoints", "other": ["runs/xy", 3]}, "runs/x", "runs/x/arms/a")
    {'folder': 'runs/x/arms/a/checkpoints', 'other': ['runs/xy', 3]}
    """
    if isinstance(value, Mapping):
        return {key: moved(item, before, after) for key, item in value.items()}
    if isinstance(value, list):
        return [moved(item, before, after) for item in value]
    if isinstance(value, str) and (value == before or value.startswith(before + "/")):
        return after + value[len(before) :]
    return value
