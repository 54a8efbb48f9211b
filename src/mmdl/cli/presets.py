"""What mmdl makes of overrides before Hydra reads them: the order of presets, and free text."""

from __future__ import annotations

from collections.abc import Sequence

from mmdl.cli.bare_words import literal

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


def added_on_resume(verb: str, overrides: Sequence[str]) -> list[str]:
    """The overrides of a continued training, whose keys need not be in the composed config: the run has them.

    Args:
        verb: The verb.
        overrides: As given.

    >>> added_on_resume("train", ["resume=latest", "data.num_workers=2", "optimizer=sgd"])
    ['resume=latest', '++data.num_workers=2', 'optimizer=sgd']
    """
    named = [override for override in overrides if override.lstrip("+").startswith("resume=")]
    if verb != "train" or not named or named[-1].endswith("=null"):
        return list(overrides)
    keys = [override.partition("=")[0] for override in overrides]
    dotted = ["." in key and not key.startswith(("+", "~")) and "@" not in key for key in keys]
    return [f"++{o}" if is_dotted else o for o, is_dotted in zip(overrides, dotted, strict=True)]


TEXT_KEYS = {
    "predict": ("question", "image", "input", "texts", "output"),
    "inspect": ("image", "sample", "label", "output"),
    "index": ("images", "output"),
    "search": ("query", "image", "queries", "index", "images", "output"),
}
"""Verb -> keys whose values are taken as they stand: a question may hold commas, quotes and brackets."""


def quoted_text(verb: str, overrides: Sequence[str]) -> list[str]:
    """The overrides of a verb with its free text quoted, so that Hydra reads it as one string.

    Args:
        verb: The verb.
        overrides: As given; a value that is quoted already stays.

    >>> print(*quoted_text("predict", ["run=latest", "question=what's this, a cat?"]))
    run=latest question="what's this, a cat?"
    """
    found = []
    for override in overrides:
        key, sign, value = override.partition("=")
        if sign and key in TEXT_KEYS.get(verb, ()) and value != "null" and value[:1] not in ("'", '"'):
            override = f"{key}={literal(value)}"
        found.append(override)
    return found
