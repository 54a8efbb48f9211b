"""What is to be known of a run's data, beside its hashes in the manifest: how much, what was left out and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdl.runs.files import write_json

if TYPE_CHECKING:
    from mmdl.data.base import DataModule

SPLITS = ("train", "val", "test")
VERSION = 1


def data_report(data: DataModule) -> dict[str, Any]:
    """The report on the data of a run.

    Args:
        data: Set up.

    Returns:
        `splits`: split -> `sizes` by unit, and `notes`, the lines beside its figures; `skipped`: reason -> samples of
        all splits that were left out; `on_bad_sample`: the rule; `cautions`: what may surprise; `marks`: as in the
        manifest.
    """
    return {
        "version": VERSION,
        "splits": {
            split: {"sizes": data.sizes(split), "notes": [] if split == "train" else data.notes(split)}
            for split in SPLITS
            if data.has_split(split)
        },
        "skipped": dict(sorted(data.skipped.items())),
        "on_bad_sample": getattr(data, "on_bad_sample", None),
        "cautions": data.cautions(),
        "marks": data.marks(),
    }


def write_data_report(path: Path, data: DataModule) -> None:
    """Write `data_report.json`, atomically.

    What is left out while reading, as of shards, is known after the training only: it is written again then.

    Args:
        path: The file.
        data: Set up.

    Raises:
        WriteError: if it can't be written.
    """
    write_json(path, data_report(data))
