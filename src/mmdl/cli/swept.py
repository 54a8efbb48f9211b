"""`mmdl sweep` on the command line: its configuration is that of the first trial, with the space beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdl.cli.bare_words import literal

RESUMING = ("resume", "dry_run", "run.root", "allow_changes")
"""Keys that count before a sweep that is continued has been found."""


def first_trial(verb: str, overrides: Sequence[str], loader: Any = None) -> list[str]:
    """The overrides of a sweep with one value each, and all values in `sweep.space`.

    So Hydra composes a configuration that it knows, with groups that are swept too, and says what is wrong with it.

    Args:
        verb: Others than `sweep` keep their overrides.
        overrides: As given.
        loader: Hydra's config loader, for `glob(*)`.

    Raises:
        UserError: if an override has no values.

    >>> print(*first_trial("sweep", ["+experiment=mnist", "seed=0,1"]))
    +experiment=mnist seed=0 sweep.space=["seed=0,1"]
    """
    if verb != "sweep":
        return list(overrides)
    if any(word.startswith("resume=") and word != "resume=null" for word in overrides):
        # The sweep has all else; what may be changed of it, the command says.
        return [word for word in overrides if word.lstrip("+").partition("=")[0] in RESUMING]
    from mmdl.sweeps.space import dimension, is_swept

    swept = [word for word in overrides if is_swept(word)]
    if not swept:
        return list(overrides)
    found = [dimension(word, loader).first if word in swept else word for word in overrides]
    return [*found, f"sweep.space=[{','.join(literal(word) for word in swept)}]"]
