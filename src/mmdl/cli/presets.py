"""The order of `experiment` and `debug` on the command line: an experiment first, a debug preset over it."""

from __future__ import annotations

from collections.abc import Sequence

GROUPS = ("experiment", "debug")
"""Groups whose configs are laid over all others; neither is in a defaults list, so that the last one given wins."""


def presets_last(overrides: Sequence[str]) -> list[str]:
    """`experiment=X` and `debug=Y` as Hydra wants them: with a plus, experiments before debug presets.

    Args:
        overrides: As given.

    >>> presets_last(["debug=one_step", "seed=1", "experiment=vqa"])
    ['seed=1', '+experiment=vqa', '+debug=one_step']
    """
    found: dict[str, list[str]] = {group: [] for group in GROUPS}
    others = []
    for override in overrides:
        name = override.lstrip("+").partition("=")[0]
        if name in found and not override.startswith(("~", "++")):
            found[name].append("+" + override.lstrip("+"))
        else:
            others.append(override)
    return [*others, *(override for group in GROUPS for override in found[group])]
