"""The command line of a sweep, taken apart: what all trials share, what is swept, and how Hydra finds its files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mmdl.cli.arguments import parse_hydra, take_trust
from mmdl.cli.dotted_groups import dotted_groups
from mmdl.sweeps.space import is_swept

OWN = ("sweep", "dry_run", "resume")
"""Keys of `mmdl sweep`, which the trials don't get."""


class SweepCommand(NamedTuple):
    """What was given.

    Attributes:
        fixed: Overrides of all trials.
        swept: Overrides with several values.
        own: Overrides of the sweep itself.
        flags: Flags of Hydra's that choose configs.
        config_dir: Value of `--config-dir`.
        config_path: Value of `--config-path`.
    """

    fixed: list[str]
    swept: list[str]
    own: list[str]
    flags: list[str]
    config_dir: str | None
    config_path: str | None


def taken_apart(words: Sequence[str]) -> SweepCommand:
    """A command line of `mmdl sweep` in its parts.

    Args:
        words: The words after the verb.

    >>> parts = taken_apart(["+experiment=mnist", "seed=0,1", "sweep.name=a", "run.root=x"])
    >>> parts.fixed, parts.swept, parts.own
    (['+experiment=mnist', 'run.root=x'], ['seed=0,1'], ['sweep.name=a'])
    """
    rest, _ = take_trust(words)
    found = parse_hydra(rest)
    named = {"--config-path": found.config_path, "--config-dir": found.config_dir}
    flags = [word for flag, value in named.items() if value is not None for word in (flag, value)]
    overrides = dotted_groups(found.overrides)
    own = [word for word in overrides if _key(word).split(".")[0].split("/")[0] in OWN]
    rest = [word for word in overrides if word not in own]
    swept = [word for word in rest if is_swept(word)]
    fixed = [word for word in rest if word not in swept]
    return SweepCommand(fixed, swept, own, flags, found.config_dir, found.config_path)


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0].partition("@")[0]
