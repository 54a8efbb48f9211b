"""The part of a configuration that decides what is computed, without the seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOT_COMPUTED = frozenset({"run", "logger", "resume", "allow_changes", "seed", "folder", "media", "probe"})
"""Keys, at any depth, that don't change what is computed, and the seed."""

SAME_RESULT = frozenset(
    {
        "data.num_workers",
        "data.worker_timeout_s",
        "callbacks.checkpoints.every_minutes",
        "callbacks.checkpoints.every_steps",
        "callbacks.checkpoints.keep",
        "trainer.log_every_n_steps",
        "trainer.profiler",
        "memory_limit_gb",
    }
)
"""Full keys that don't change a bit of it."""

OBSERVERS = frozenset(
    {
        "confusion_matrix",
        "contrastive_diagnosis",
        "descent_curve",
        "evaluation_pictures",
        "gradient_norms",
        "inside",
        "learning_curves",
        "probe_set",
        "progress",
        "watchdog",
    }
)
"""Modules of callbacks that only look."""


def computed(config: Any, path: str = "") -> Any:
    """A plain configuration without the seed and what is not computed.

    Args:
        config: Plain containers and scalars.
        path: Where it stands in the whole.

    >>> computed({"seed": 1, "data": {"seed": 1, "batch_size": 2, "num_workers": 4}, "run": {"id": "a"}})
    {'data': {'batch_size': 2}}
    >>> computed({"callbacks": {"bar": {"_target_": "mmdl.callbacks.progress.Progress"}}})
    {'callbacks': {}}
    """
    if isinstance(config, Mapping):
        found = {}
        for key, value in config.items():
            own = f"{path}.{key}" if path else str(key)
            if key in NOT_COMPUTED or own in SAME_RESULT or key == "resamples" or _only_looks(path, value):
                continue
            found[key] = computed(value, own)
        return found
    if isinstance(config, list):
        return [computed(value, path) for value in config]
    return config


def _only_looks(path: str, value: Any) -> bool:
    target = value.get("_target_") if path == "callbacks" and isinstance(value, Mapping) else None
    parts = str(target).split(".")
    return parts[:2] == ["mmdl", "callbacks"] and len(parts) > 2 and parts[2] in OBSERVERS
