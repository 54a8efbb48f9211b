"""Where COCO's images lie below a folder: in the official folders, or beside each other."""

from __future__ import annotations

import os
from pathlib import Path


def find_images(home: Path, name: str, prefix: str = "") -> Path:
    """The folder of the images of one official archive, or where it would be put.

    Args:
        home: Folder of the data.
        name: Of the archive, such as `train2014`.
        prefix: Of its file names, such as `COCO_train2014_`, by which images are found that lie directly in `images`
            or `home`; empty where nothing tells them from those of another archive.
    """
    places = [home / "images" / name, home / name]
    places += [home / "images", home] if prefix else []
    return next((place for place in places if holds(place, prefix)), places[0])


def holds(folder: Path, prefix: str) -> bool:
    """Whether any file of a folder begins with `prefix`."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(entry.name.startswith(prefix) for entry in entries)
