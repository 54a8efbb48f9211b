"""The pictures that evaluators wrote: of the final evaluation, and of validations during training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from mmdl.review.model import Review

SHOWN_ELSEWHERE = ("confusion_matrix", "reliability")
"""Stems of pictures that the page draws itself."""


class RunPicture(NamedTuple):
    """A picture of a run.

    Attributes:
        run: Id of the run.
        name: Of what it shows, equal over runs: `test: text to image`.
        step: Of the validation; None: of a final evaluation.
        path: The PNG.
    """

    run: str
    name: str
    step: int | None
    path: Path


def run_pictures(review: Review) -> list[RunPicture]:
    """The pictures of all runs: those of evaluations first, their own figures last, then those of validations by step.

    Args:
        review: Its runs' folders are only read.
    """
    evaluations, validations = [], []
    for run in review.runs:
        for path in _pngs(run.path / "evaluation"):
            parts = path.relative_to(run.path / "evaluation").with_suffix("").parts
            if parts[-1] not in SHOWN_ELSEWHERE:
                name = f"{parts[0]}: {_words(parts[1:])}" if len(parts) > 1 else _words(parts)
                evaluations.append(RunPicture(run.id, name, None, path))
        folder = run.path / "media" / "validation"
        for path in _pngs(folder):
            parts = path.relative_to(folder).with_suffix("").parts
            match = re.fullmatch(r"step=(\d{1,15})", parts[0])
            if match and len(parts) > 1:
                name = f"over the training: {_words(parts[1:])}"
                validations.append(RunPicture(run.id, name, int(match[1]), path))
    evaluations.sort(key=lambda picture: picture.name.startswith("figures"))
    return evaluations + sorted(
        validations, key=lambda picture: (picture.run, picture.name, picture.step or 0)
    )


def _pngs(folder: Path) -> list[Path]:
    """PNG files of a folder, none that leads out of it."""
    try:
        inside = folder.resolve()
        return [
            path
            for path in sorted(folder.rglob("*.png"))
            if path.resolve().is_relative_to(inside) and path.is_file()
        ]
    except (OSError, RuntimeError):
        return []


def _words(parts: tuple[str, ...]) -> str:
    return " / ".join(parts).replace("_", " ")
