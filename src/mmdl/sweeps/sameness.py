"""Whether a sweep that goes on is still the one that was begun; if not, what differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mmdl.errors import UserError
from mmdl.runs.changes import FREE, SAME_RESULTS
from mmdl.runs.redact import redact
from mmdl.sweeps.composing import Composer
from mmdl.sweeps.record import Sweep

FIRST_FILE = "first_trial.yaml"
"""The composed configuration of the first trial, to find what has changed beneath a sweep."""


def check_same(sweep: Sweep, wanted: Sweep, composing: Composer, *, allow_changes: bool) -> None:
    """Refuse a sweep of another definition under the same name; further values of a grid are no other definition.

    Args:
        sweep: As it was begun.
        wanted: As the command line describes it.
        composing: Composes its trials as they would be now.
        allow_changes: Pass over changed configurations: trials that have begun keep theirs.

    Raises:
        UserError: saying what differs.
    """
    found = _definition_changes(sweep, wanted)
    if not found and not allow_changes:
        found = _configuration_changes(sweep, composing)
        fix = "another sweep.name, or allow_changes=true to train the rest with the change"
    else:
        fix = f"another sweep.name, or resume={sweep.name}"
    if found:
        raise UserError(
            f"the sweep {sweep.name!r} was begun with another definition: {'; '.join(found)}",
            valid="the same definition; a grid with more values, or a higher sweep.n_trials",
            fix=fix,
        )


def _definition_changes(sweep: Sweep, wanted: Sweep) -> list[str]:
    if sweep.method != wanted.method:
        return [f"sweep: {sweep.method} -> {wanted.method}"]
    before, after = sweep.definition, wanted.definition
    if (sweep.monitor, sweep.mode) != (wanted.monitor, wanted.mode):
        return [f"monitor: {sweep.monitor} ({sweep.mode}) -> {wanted.monitor} ({wanted.mode})"]
    found = [
        f"sweep.{key}: {before.get(key)} -> {after.get(key)}"
        for key in after
        if key not in ("overrides", "space") and before.get(key) != after.get(key)
    ]
    ours, theirs = before["space"], after["space"]
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in theirs or name not in ours:
            found.append(f"{name} is {'no longer' if name in ours else 'now'} swept")
        elif sweep.method == "grid":
            gone = [value for value in ours[name] if value not in theirs[name]]
            found += [f"no longer there: {name}={value}" for value in gone]
        elif ours[name] != theirs[name]:
            found.append(f"{name}: {_said(ours[name])} -> {_said(theirs[name])}")
    if found:
        return found
    gone = [word for word in before["overrides"] if word not in after["overrides"]]
    new = [word for word in after["overrides"] if word not in before["overrides"]]
    return [f"without {word}" for word in gone] + [f"with {word}" for word in new]


def _said(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _configuration_changes(sweep: Sweep, composing: Composer) -> list[str]:
    """Keys whose value has changed although the command line has not: a file of `conf/`, or another mmdl."""
    first = sweep.definition.get("first")
    path = sweep.folder / FIRST_FILE
    if first is not None and path.is_file():
        before = _flat(OmegaConf.to_container(OmegaConf.load(path)))
        after = _flat(plain(composing.compose(first)))
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        if keys:
            return [f"{key}: {before.get(key, 'nothing')} -> {after.get(key, 'nothing')}" for key in keys[:8]]
    changed = [
        trial.run
        for trial in sweep.trials
        if trial.run in sweep.configurations
        and sweep.configurations[trial.run] != fingerprint(composing.compose(trial.overrides))
    ]
    return (
        [f"the configuration of {', '.join(changed[:4])} (a file of conf/, or another mmdl)"]
        if changed
        else []
    )


def plain(config: DictConfig) -> dict[str, Any]:
    """A composed configuration without what does not change the training, and without secrets.

    Args:
        config: With its interpolations.
    """
    found: Any = OmegaConf.to_container(config, resolve=False)
    kept: dict[str, Any] = redact({key: value for key, value in found.items() if key not in FREE})
    for key in SAME_RESULTS:
        *parents, last = key.split(".")
        node: Any = kept
        for part in parents:
            node = node.get(part) if isinstance(node, Mapping) else None
        if isinstance(node, dict):
            node.pop(last, None)
    return kept


def fingerprint(config: DictConfig) -> str:
    """SHA-256 of what `plain` leaves of a composed configuration.

    Args:
        config: With its interpolations.
    """
    return hashlib.sha256(json.dumps(plain(config), sort_keys=True, default=str).encode()).hexdigest()


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        found: dict[str, Any] = {}
        for key, item in value.items():
            found |= _flat(item, f"{prefix}{key}.")
        return found
    return {prefix.rstrip("."): value}
