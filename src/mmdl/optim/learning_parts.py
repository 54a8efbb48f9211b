"""Which parts of a two-tower model learn."""

from __future__ import annotations

from typing import Any

PROJECTION = "projection"


def learning_parts(model: Any) -> list[str]:
    """Those of `image tower`, `text tower` and `projections` that have a parameter that learns.

    Args:
        model: A `ContrastiveModel`: its layer groups are `image_tower.*`, `text_tower.*` and `logit_scale`.
    """
    found = set()
    for group in model.layer_groups():
        tower, _, part = group.name.partition(".")
        if tower != "logit_scale" and any(p.requires_grad for p in group.parameters()):
            found.add("projections" if part == PROJECTION else tower.replace("_", " "))
    return sorted(found)


def frozen_towers(learning: list[str]) -> str | None:
    """What to say where no tower learns; None where one does.

    Args:
        learning: From `learning_parts`.

    >>> frozen_towers(["projections"])
    'both towers are frozen, only the projections learn'
    >>> frozen_towers(["projections", "text tower"])
    """
    if "image tower" in learning or "text tower" in learning:
        return None
    return "both towers are frozen, " + (
        "only the projections learn" if learning else "not even a projection learns"
    )
