"""The keys of the configuration that are not the same in all runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmdl.review.model import Difference, RunView
from mmdl.runs.computed import computed
from mmdl.runs.redact import redact

MOST_KEYS = 60
MOST_CHARACTERS = 80


class Differences(NamedTuple):
    """What differs.

    Attributes:
        kept: Those that are shown: keys that most runs have come first.
        left_out: How many more there are.
    """

    kept: list[Difference]
    left_out: int


def config_differences(runs: Sequence[RunView], most: int = MOST_KEYS) -> Differences:
    """The keys whose values differ, but for those that don't change what is computed: id, folders, loggers, observers.

    Of seeds only the one at the top is looked at, which the others follow. A run whose configuration can't be read is
    passed over.

    Args:
        runs: With unique ids.
        most: How many are kept.
    """
    leaves = {run.id: dict(_leaves(redact(_looked_at(run.config)))) for run in runs if run.config}
    keys = dict.fromkeys(key for found in leaves.values() for key in found)
    differing = []
    for key in keys:
        values = {run_id: found[key] for run_id, found in leaves.items() if key in found}
        if len(values) < len(leaves) or len(set(values.values())) > 1:
            differing.append((len(leaves) - len(values), key, values))
    differing.sort(key=lambda row: row[0])  # stable: else in the order of the configuration
    kept = [
        Difference(key, {run_id: _shortened(value) for run_id, value in values.items()})
        for _, key, values in differing[:most]
    ]
    return Differences(kept, len(differing) - len(kept))


def _looked_at(config: Mapping[str, Any]) -> dict[str, Any]:
    seed = {"seed": config["seed"]} if "seed" in config else {}
    return {**seed, **computed(config)}


def _leaves(config: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(config, Mapping) and (config or not path):
        for key, value in config.items():
            if key != "_partial_":
                yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, config if isinstance(config, str) else json.dumps(config, ensure_ascii=False, default=str)


def _shortened(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"
