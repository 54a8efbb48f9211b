"""What an experiment sets for a choice that the command line has replaced by another one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf, flag_override

from mmdl.cli.presets import GROUPS
from mmdl.signature import HYDRA_KEYS, signature_of

_CHOICE = re.compile(r"\+?([a-z_]\w*(?:/[a-z_]\w*)*)=([\w./-]+)")


def choices(overrides: Sequence[str], groups: Collection[str]) -> tuple[list[str], list[str]]:
    """The experiments of a command line, and the groups that it chooses itself beside them.

    Args:
        overrides: As Hydra reads them.
        groups: All config groups, nested ones as `model/fusion`.

    >>> choices(["model=clip", "seed=1", "+experiment=vqa"], ["model", "model/fusion"])
    (['experiment/vqa'], ['model'])
    """
    found = [match for override in overrides if (match := _CHOICE.fullmatch(override)) is not None]
    presets = [f"{match[1]}/{match[2]}" for match in found if match[1] in GROUPS]
    return presets, [match[1] for match in found if match[1] in groups and match[1] not in GROUPS]


def drop_stale_keys(
    config: DictConfig, experiment: Mapping[str, Any], overrides: Sequence[str], group: str
) -> list[str]:
    """Take out what an experiment sets below a group, and the class that was chosen in its place does not take.

    Without this `+experiment=clip model=other` would be refused for the arguments of the experiment's own model.

    Args:
        config: The whole configuration; it is changed.
        experiment: What the experiment's file says.
        overrides: The command line; what it names itself stays, and is refused if it is wrong.
        group: Such as `model`, or `model/image_tower`.

    Returns:
        The keys that were taken out.
    """
    path = group.replace("/", ".")
    own = experiment
    for part in path.split("."):
        inner = own.get(part)
        own = inner if isinstance(inner, Mapping) else {}
    given = [override.lstrip("+").partition("=")[0] for override in overrides]
    stale = [
        key
        for key in _unknown(OmegaConf.select(config, path, throw_on_missing=False), own, path)
        if not any(name == key or name.startswith(f"{key}.") for name in given)
    ]
    with flag_override(config, ["struct", "readonly"], [False, False]):
        for key in stale:
            parent, _, last = key.rpartition(".")
            del OmegaConf.select(config, parent)[last]
    return stale


def _unknown(node: Any, own: Mapping[str, Any], path: str) -> Iterator[str]:
    """Paths of the keys of `own` that the target of `node` has no argument for."""
    target = node.get("_target_") if isinstance(node, DictConfig) else None
    signature = signature_of(target) if isinstance(target, str) else None
    if signature is None or signature.open:
        return
    for key, value in own.items():
        if key not in node or key in HYDRA_KEYS:
            continue
        if key not in signature.parameters:
            yield f"{path}.{key}"
        elif isinstance(value, Mapping):
            yield from _unknown(node._get_node(key), value, f"{path}.{key}")
