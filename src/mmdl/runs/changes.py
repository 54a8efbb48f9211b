"""What the command line changes in the configuration of a run that is continued, and whether it may."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

FREE = ("resume", "allow_changes", "run", "logger", "hydra")
"""Parts of the configuration that a continuation has of its own."""

SAME_RESULTS = (
    "data.num_workers",
    "callbacks.checkpoints.every_minutes",
    "callbacks.checkpoints.every_steps",
    "callbacks.checkpoints.keep",
    "trainer.log_every_n_steps",
    "trainer.profiler",
)
"""Keys that don't change a bit of what is computed."""

SAME_MATHEMATICS = (
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "strategy.*",
    "data.batch_size",
    "global_batch_size",
)
"""Keys that change where it is computed, where an optimizer step takes as many samples as before."""

SHARED_OUT = ("data.batch_size", "trainer.accumulate_grad_batches", "task.micro_batch")
"""Keys that `global_batch_size` and `find_batch_size` set."""

ABSENT = "nothing"
"""What is said in place of a value that is not there."""

PRESETS = ("experiment", "debug")
"""Groups that are laid over the others and leave no node of their own."""


class Change(NamedTuple):
    """A key whose value differs.

    Attributes:
        key: Its path.
        before: Value in the run.
        after: Value on the command line.
    """

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.before} -> {self.after}"

    def matches(self, patterns: Iterable[str]) -> bool:
        """Whether the key is one of some patterns."""
        return any(fnmatch(self.key, pattern) for pattern in patterns)


def path_of(override: str) -> str:
    """Where in the configuration an override takes effect.

    >>> [path_of(o) for o in ("+a.b=1", "~callbacks.ema", "model/fusion=film", "augment@data.augment=[flip]")]
    ['a.b', 'callbacks.ema', 'model.fusion', 'data.augment']
    """
    return override.lstrip("+~").partition("=")[0].rpartition("@")[2].replace("/", ".")


def presets_of(overrides: Iterable[str]) -> dict[str, str]:
    """The presets that a command line names.

    >>> presets_of(["+experiment=vqa", "seed=1"])
    {'experiment': 'vqa'}
    """
    pairs = [override.lstrip("+").partition("=") for override in overrides]
    return {group: value for group, _, value in pairs if group in PRESETS}


def changes(saved: DictConfig, cfg: DictConfig, overrides: Sequence[str]) -> list[Change]:
    """The keys that the command line sets to other values than the run has.

    Args:
        saved: Configuration of the run, where values stand for interpolations.
        cfg: As composed with the overrides.
        overrides: Of the command line.
    """
    found: dict[str, Change] = {}
    for path in _paths(overrides):
        before, after = _value(saved, path), _value(cfg, path)
        in_group = isinstance(after, Mapping)
        for change in _leaves(path, before, after):
            if change.before == change.after or (change.key, change.after) == ("trainer.precision", "auto"):
                continue  # the run has what auto was on its first machine
            if not (in_group and _filled_in(saved, change)):
                found[change.key] = change
    return sorted(found.values(), key=lambda change: change.key)


def apply(saved: DictConfig, cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Take over from the command line what it changes."""
    for override in overrides:
        for path in _paths([override]):
            found = changes(saved, cfg, [override])
            if any(change.key.endswith(("_target_", ".name")) for change in found):
                # Another class has other arguments. Facts of the data are filled in later.
                value = OmegaConf.to_container(OmegaConf.select(cfg, path), resolve=False)
                OmegaConf.update(saved, path, value, merge=False, force_add=True)
                continue
            for change in found:
                if change.after is not ABSENT:
                    OmegaConf.update(saved, change.key, change.after, merge=False, force_add=True)
                    continue
                parent, _, name = change.key.rpartition(".")
                (OmegaConf.select(saved, parent) if parent else saved).pop(name)


def _paths(overrides: Sequence[str]) -> list[str]:
    """Where overrides take effect, without what a continuation has of its own."""
    paths = [path_of(override) for override in overrides]
    return [path for path in paths if path.split(".")[0] not in FREE and path not in PRESETS]


def _filled_in(saved: DictConfig, change: Change) -> bool:
    """Whether a value that a chosen group does not have comes from the program: from the data, or from memory."""
    if change.after in (None, "???"):
        return True
    shared_out = bool(saved.get("find_batch_size")) or saved.get("global_batch_size") is not None
    return shared_out and change.key in SHARED_OUT


def _value(cfg: DictConfig, path: str) -> Any:
    value = OmegaConf.select(cfg, path, default=ABSENT)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _leaves(path: str, before: Any, after: Any) -> list[Change]:
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return [Change(path, before, after)]
    return [
        change
        for key in {**before, **after}
        for change in _leaves(f"{path}.{key}", before.get(key, ABSENT), after.get(key, ABSENT))
    ]
