"""Parameter groups: one partition of the model serves freezing, layer-wise learning rates and weight decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from mmdl.errors import UserError, UserErrors, nearest
from mmdl.models.features import LayerGroup


def freeze(model: nn.Module, patterns: Sequence[str], train_last: Mapping[str, int] | None = None) -> int:
    """Stop the gradient of layer groups: those whose names match, and all but the last of others.

    Args:
        model: Has `layer_groups()`, ordered from input to output.
        patterns: Names or shell patterns of groups that don't learn, such as `image_tower*`.
        train_last: Pattern -> how many of the groups that match it learn, counted from the output; the others of
            them don't. `{"image_tower*": 2}` is `--lock-image-unlocked-groups 2` of open_clip.

    Returns:
        Number of parameters (elements) that are frozen.

    Raises:
        UserError: if a pattern matches no group, or a number is not within what it matches.
    """
    groups = _layer_groups(model)
    names = [group.name for group in groups]
    _require_matches(patterns, names, "task.freeze")
    _require_matches(list(train_last or {}), names, "task.train_last")
    frozen = {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}
    for pattern, count in (train_last or {}).items():
        matching = [name for name in names if fnmatchcase(name, pattern)]
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= len(matching):
            raise UserError(
                f"task.train_last: {pattern!r} matches {len(matching)} parts of the model, and {count!r} of them "
                "can't learn",
                valid=f"0 to {len(matching)}; from input to output: {', '.join(matching)}",
            )
        frozen.update(matching[: len(matching) - count])
    for group in groups:
        if group.name in frozen:
            for module in group.modules:
                module.requires_grad_(False)
    return sum(p.numel() for p in model.parameters() if not p.requires_grad)


def parameter_groups(
    model: nn.Module,
    learning_rate: float,
    weight_decay: float,
    learning_rate_scale: Mapping[str, float] | None = None,
    layer_decay: float = 1.0,
    decay_vectors: bool = False,
) -> list[dict[str, Any]]:
    """Groups for a torch optimizer; frozen parameters are left out.

    Args:
        model: Has `layer_groups()`, ordered from input to output; those of a tower share the first part of their
            names, or all belong to one where the model's `one_tower` says so.
        learning_rate: Base rate.
        weight_decay: For matrices and kernels.
        learning_rate_scale: Pattern of group names -> factor; the first that matches counts.
        layer_decay: Within a tower, the group `d` groups below its last one has the factor `layer_decay ** d`
            (ELECTRA, Clark 2020; BEiT, Bao 2021).
        decay_vectors: Decay biases and norms too, which is rarely wanted.

    Returns:
        Dicts with `params`, `lr`, `weight_decay`, `name` and `hidden`; parameters appear once. `hidden` is True for
        the matrices and kernels between the first and the last layer, for optimizers such as Muon.

    Raises:
        UserError: if a pattern matches no group.
    """
    groups = _layer_groups(model)
    scale = dict(learning_rate_scale or {})
    _require_matches(list(scale), [group.name for group in groups], "task.learning_rate_scale")
    whole = getattr(model, "one_tower", False)
    towers = ["" if whole else group.name.split(".", 1)[0] for group in groups]
    last = {tower: position for position, tower in enumerate(towers)}
    edges = _edges([group.name for group in groups])
    found: list[dict[str, Any]] = []
    seen: set[int] = set()
    for position, group in enumerate(groups):
        factor = next((f for pattern, f in scale.items() if fnmatchcase(group.name, pattern)), 1.0)
        factor *= layer_decay ** (last[towers[position]] - position)
        parameters = [
            p
            for module in group.modules
            for p in module.parameters()
            if p.requires_grad and id(p) not in seen
        ]
        seen.update(id(p) for p in parameters)
        # Alone, since strategies that spread the weights leave them whole, and fused steps don't take both kinds.
        scalars = [p for p in parameters if p.ndim == 0]
        matrices = [p for p in parameters if p.ndim >= 2 or (p.ndim == 1 and decay_vectors)]
        vectors = [p for p in parameters if p.ndim == 1 and not decay_vectors]
        outside = set() if position not in edges else {id(p) for p in parameters}
        outside |= {id(p) for p in _embeddings(group)}
        hidden = [p for p in matrices if p.ndim >= 2 and id(p) not in outside]
        others = [p for p in matrices if p.ndim < 2 or id(p) in outside]
        for name, params, decay in (
            ("", hidden, weight_decay),
            ("", others, weight_decay),
            (".vectors", vectors, 0.0),
            ("", scalars, weight_decay if decay_vectors else 0.0),
        ):
            if params:
                found.append(
                    {
                        "params": params,
                        "lr": learning_rate * factor,
                        "weight_decay": decay,
                        "name": group.name + name,
                        "hidden": params is hidden,
                    }
                )
    missing = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in seen]
    assert not missing, f"layer_groups() leaves out {missing[:5]}"
    return _merged(found)


def _edges(names: Sequence[str]) -> set[int]:
    """Positions of the layers that see the input (one a tower) or give the output."""
    towers = [name.split(".", 1)[0] for name in names]
    first = {towers.index(tower) for tower in towers if tower.endswith("_tower")}
    return first | {0, len(names) - 1}


def _embeddings(group: LayerGroup) -> list[Tensor]:
    """Tables that are looked up, whose rows are inputs."""
    modules = (module for part in group.modules for module in part.modules())
    return [module.weight for module in modules if isinstance(module, nn.Embedding)]


def _merged(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join groups with equal settings: fewer groups, fewer kernels in a fused or foreach step."""
    merged: dict[tuple[float, float, bool, bool], dict[str, Any]] = {}
    for group in groups:
        key = (group["lr"], group["weight_decay"], group["hidden"], group["params"][0].ndim == 0)
        if key in merged:
            merged[key]["params"] += group["params"]
            merged[key]["name"] += "+" + group["name"]
        else:
            merged[key] = group
    return list(merged.values())


def _layer_groups(model: nn.Module) -> list[LayerGroup]:
    return model.layer_groups()  # type: ignore[operator]


def _require_matches(patterns: Sequence[str], names: list[str], key: str) -> None:
    errors = [
        UserError(f"{key}: {pattern!r} matches no part of the model", valid=nearest(pattern, names))
        for pattern in patterns
        if not any(fnmatchcase(name, pattern) for name in names)
    ]
    if errors:
        raise UserErrors(errors)
