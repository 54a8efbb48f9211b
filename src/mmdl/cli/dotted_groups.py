"""`model.fusion=film` where `model/fusion=film` is meant: W&B's agents can't name a parameter with a slash."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mmdl.cli.catalog import files

_DOTTED = re.compile(r"([a-z_]\w*(?:\.[a-z_]\w*)+)=([A-Za-z_][\w,]*)")


def dotted_groups(overrides: Sequence[str]) -> list[str]:
    """The overrides with a slash where a dotted key is a config group and its value names options of it.

    As a value it would put a word in the place of a whole node, which nothing could take.

    Args:
        overrides: As given.

    >>> dotted_groups(["model.fusion=film", "model.fusion.hidden=3", "optimizer.name=SGD"])
    ['model/fusion=film', 'model.fusion.hidden=3', 'optimizer.name=SGD']
    """
    return [_with_slash(override) for override in overrides]


def _with_slash(override: str) -> str:
    found = _DOTTED.fullmatch(override)
    if found is None:
        return override
    group = found[1].replace(".", "/")
    options = files(group)
    return f"{group}={found[2]}" if options and set(found[2].split(",")) <= options.keys() else override
