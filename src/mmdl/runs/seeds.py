"""Runs that differ in nothing but their seed, folded into mean and deviation."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from mmdl.runs.computed import computed
from mmdl.runs.folder import RunFolder


class SeedGroup(NamedTuple):
    """Finished runs of one configuration.

    Attributes:
        name: Name of the experiment.
        runs: Their ids.
        seeds: Their seeds, in the same order.
        metric: The figure, such as `test/accuracy`.
        values: Its value in each run.
    """

    name: str
    runs: list[str]
    seeds: list[int]
    metric: str
    values: list[float]

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """Standard deviation of one run (N - 1 in the denominator); 0 for a single run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0


def seed_groups(runs: Iterable[RunFolder]) -> list[SeedGroup]:
    """The finished runs by configuration, those with most seeds last.

    Args:
        runs: Run folders; those without a figure are left out.
    """
    found: defaultdict[str, list[tuple[RunFolder, Any, str, float]]] = defaultdict(list)
    for run in runs:
        metric = str(run.read_status().get("monitor", "")).replace("val/", "test/", 1)
        figure = run.read_summary().get(metric)
        if figure is None:
            continue
        config = OmegaConf.to_container(run.read_config())
        assert isinstance(config, dict)
        key = json.dumps([computed(config), metric], sort_keys=True, default=str)
        found[key].append((run, config, metric, float(figure["value"])))
    groups = [
        SeedGroup(
            str(rows[0][1].get("name", "")),
            [run.id for run, *_ in rows],
            [int(config.get("seed", 0)) for _, config, *_ in rows],
            rows[0][2],
            [value for *_, value in rows],
        )
        for rows in found.values()
    ]
    return sorted(groups, key=lambda group: len(group.runs))
