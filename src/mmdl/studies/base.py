"""What a study is: several trainings that differ in a few settings, and what is told of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from omegaconf import DictConfig

from mmdl.evaluators.base import Artifact
from mmdl.runs.folder import RunFolder

Figures = dict[str, dict[str, Any]]
"""Name -> `{"value", "n", "ci95"}`, as `summary.json` holds them."""


class Arm(NamedTuple):
    """One training of a study: a run like any other, in a folder of its own.

    Attributes:
        name: Its name, and that of its folder below the study's `arms/`.
        settings: What differs from the study's configuration: full key -> value.
        config: The whole configuration of the training.
        run: Its folder.
    """

    name: str
    settings: dict[str, Any]
    config: DictConfig
    run: RunFolder

    def described(self) -> str:
        """Its settings on one line."""
        return "  ".join(f"{key}={value}" for key, value in self.settings.items())


class Report(NamedTuple):
    """What a study found.

    Attributes:
        best: Name of the arm that validation prefers: its weights and its figures are the study's.
        figures: Further figures, named `arm/<name>/...`.
        lines: The table for the console, and what a reader must know.
        pictures: Name -> PNG in the study's folder, for the trackers.
    """

    best: str
    figures: Figures
    lines: list[str]
    pictures: dict[str, Artifact]


class Study(Protocol):
    """Compares trainings.

    Attributes:
        arms: Name -> settings that differ, nested as in the configuration or with full keys; `all` as
            `data.batch_size` stands for the whole training set.
        needs_callbacks: Names of the callbacks that every arm must have.
    """

    needs_callbacks: ClassVar[tuple[str, ...]]
    arms: Mapping[str, Any]

    def report(self, run: RunFolder, arms: Sequence[Arm]) -> Report:
        """Write tables and pictures into the study's folder; called when every arm has finished."""
