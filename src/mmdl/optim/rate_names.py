"""Short names for the learning rates of an optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST = 8
"""Rates that have a name, where there are more: layer-wise decay has one a layer."""


def rate_names(groups: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Name -> index of a parameter group, for each of the rates that differ; empty where all are equal.

    A name is that of the layer groups, or of the tower that they are: `image_tower`, `image_tower.stage3`. Of more than
    `MOST` rates the highest, the lowest and some that lie evenly between have one.

    Args:
        groups: The optimizer's `param_groups`, from `parameter_groups`; their schedules are in proportion.

    >>> names = ["image_tower.stem+image_tower.head", "text_tower.block+text_tower.block.vectors", "logit_scale"]
    >>> rate_names([{"name": n, "lr": r} for n, r in zip(names, (1e-4, 1e-3, 1e-3))])
    {'text_tower+logit_scale': 1, 'image_tower': 0}
    """
    rates = [float(group.get("initial_lr", group["lr"])) for group in groups]
    layers = [_layers(group, number) for number, group in enumerate(groups)]
    distinct = sorted(set(rates), reverse=True)
    if len(distinct) < 2:
        return {}
    kinds = {
        rate: {bool(g.get("hidden")) for g, own in zip(groups, rates, strict=True) if own == rate}
        for rate in distinct
    }
    if sorted(kinds.values(), key=str) == [{False}, {True}]:  # Muon's rate, and AdamW's for the rest
        return {("matrices" if True in kinds[rate] else "others"): rates.index(rate) for rate in distinct}
    if len(distinct) > MOST:
        step = (len(distinct) - 1) / (MOST - 1)
        distinct = [distinct[round(place * step)] for place in range(MOST)]
    found: dict[str, int] = {}
    for rate in distinct:
        own = [number for number, value in enumerate(rates) if value == rate]
        others = {name for number in range(len(groups)) if number not in own for name in layers[number]}
        name = _joined(list(dict.fromkeys(name for number in own for name in layers[number])), others)
        found[name if name not in found else f"{name}.{own[0]}"] = own[0]
    return found


def _layers(group: Mapping[str, Any], number: int) -> list[str]:
    names = str(group.get("name") or f"group{number}").split("+")
    return [name.removesuffix(".vectors") for name in names]


def _joined(names: Sequence[str], others: set[str]) -> str:
    """The names, in place of all layers of a tower the tower; of many, the first and how many more."""
    elsewhere = {name.partition(".")[0] for name in others}
    towers = [name if (tower := name.partition(".")[0]) in elsewhere else tower for name in names]
    short = list(dict.fromkeys(towers))
    return "+".join(short) if len(short) <= 3 else f"{short[0]}+{len(short) - 1}_more"
