"""The images of items that a run folder keeps: small pictures by image key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdl.runs.item_records import base_of

SUFFIXES = (".png", ".jpg")


FOLDERS = ("items", "probe")
"""Folders of `media/` with an index of images: test items, and the probe set of the validations."""


def item_images(run_path: Path, name: str) -> dict[str, Path]:
    """Image key of a record -> its small picture.

    The key is the record's `image` (VQA, retrieval), else its `id` (classification). Only files that are there, and
    that lie in the folder of the index itself, are named: an index of another's run may say anything.

    Args:
        run_path: The run folder; it is only read.
        name: Of the predictions, or their split: baselines and both directions of retrieval share the split's images.

    Returns:
        Without an index, or with a damaged one, none.
    """
    found: dict[str, Path] = {}
    for kind in FOLDERS:
        folder, index = _index(run_path, kind)
        for key, file in _files(index, name).items():
            path = _inside(folder, file) if key not in found else None
            if path is not None:
                found[key] = path
    return found


def item_image_notes(run_path: Path, name: str) -> list[str]:
    """What is to be said of the images of some predictions: which were not kept, are missing, or are refused.

    Args:
        run_path: As for `item_images`.
        name: As for `item_images`.
    """
    folder, index = _index(run_path, "items")
    if index is None:
        exists = (folder / "index.json").exists()
        return ["media/items/index.json is damaged" if exists else "the run keeps no images of its items"]
    files = _files(index, name)
    lost = sum(_inside(folder, file) is None for file in files.values())
    lines = [f"{lost:,} of {len(files):,} kept images are missing or damaged entries"] if lost else []
    left_out = index.get("left_out")
    count = left_out.get(base_of(name)) if isinstance(left_out, Mapping) else None
    if isinstance(count, int) and count > 0:
        lines.append(
            f"{count:,} images are not kept: media.items, media.pixels and media.megabytes are the limits"
        )
    return lines


def _index(run_path: Path, kind: str) -> tuple[Path, dict[str, Any] | None]:
    folder = run_path / "media" / kind
    try:
        found = json.loads((folder / "index.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return folder, None
    return folder, found if isinstance(found, dict) else None


def _files(index: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """Image key -> what the index gives as its file."""
    images = index.get("images") if index is not None else None
    own = images.get(base_of(name)) if isinstance(images, Mapping) else None
    if not isinstance(own, Mapping):
        return {}
    return {key: entry.get("file") if isinstance(entry, Mapping) else None for key, entry in own.items()}


def _inside(folder: Path, file: Any) -> Path | None:
    """The file, if it is one of the folder."""
    if not isinstance(file, str) or "\0" in file or not file.endswith(SUFFIXES):
        return None
    path = folder / file
    try:
        inside = path.resolve().is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, RuntimeError):
        return None
    return path if inside else None
