"""A folder of small pictures with an index: named by their content, written whole or not at all, capped in bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmdl.runs.files import TEMPORARY, write_json, writing

SMALL = 64
"""Longer side in pixels up to which a picture is a PNG: every pixel counts there."""
VERSION = 1


class PictureFolder:
    """Takes the pictures of one name (a split), and replaces those that it had under this name.

    Args:
        folder: Such as `media/items`.
        name: Such as `test`.
        most_bytes: Of all pictures of the folder together.
    """

    def __init__(self, folder: Path, name: str, most_bytes: float) -> None:
        self.folder = folder
        self.name = name
        self.index = _read(folder / "index.json")
        self.entries: dict[str, dict[str, Any]] = {}
        others = {name: images for name, images in self.index["images"].items() if name != self.name}
        self._sizes = {file: size for file in _files(others) if (size := _size(folder / file)) is not None}
        self.most_bytes = most_bytes

    @property
    def used(self) -> int:
        """Bytes of all pictures so far."""
        return sum(self._sizes.values())

    def add(self, key: str, image: npt.NDArray[np.uint8], most_bytes: float | None = None) -> bool:
        """Write a picture under a key.

        Args:
            key: Of the image.
            image: `(H, W, 3)` or `(H, W)` uint8.
            most_bytes: Where the folder may be filled up to for this one; None: all.

        Returns:
            Whether there was room for it.

        Raises:
            WriteError: if it can't be written.
        """
        content, suffix = encoded(image)
        file = f"{self.name}/{hashlib.sha1(content, usedforsecurity=False).hexdigest()}{suffix}"
        limit = self.most_bytes if most_bytes is None else min(most_bytes, self.most_bytes)
        if file not in self._sizes and self.used + len(content) > limit:
            return False
        _write(self.folder / file, content)
        self._sizes[file] = len(content)
        self.entries[key] = {"file": file, "width": image.shape[1], "height": image.shape[0]}
        return True

    def finish(self, **facts: Any) -> None:
        """Write the index, and remove what nothing refers to any more.

        Args:
            **facts: Of this name: fact -> value; the index has them as fact -> name -> value.

        Raises:
            WriteError: if it can't be written.
        """
        self.index["images"][self.name] = self.entries
        for fact, value in facts.items():
            self.index[fact] = {**_mapping(self.index.get(fact)), self.name: value}
        write_json(self.folder / "index.json", self.index)
        kept = set(_files(self.index["images"]))
        for path in (self.folder / self.name).glob("*"):
            if f"{self.name}/{path.name}" not in kept:
                with writing(path):
                    path.unlink(missing_ok=True)


def encoded(image: npt.NDArray[np.uint8]) -> tuple[bytes, str]:
    """A picture as a file: PNG where it is small or drawn, JPEG where it is a photograph.

    Args:
        image: `(H, W, 3)` or `(H, W)` uint8.

    Returns:
        Content and suffix.
    """
    from PIL import Image

    picture = Image.fromarray(image)
    lossless, lossy = io.BytesIO(), io.BytesIO()
    picture.save(lossless, format="png", optimize=True)
    if max(image.shape[:2]) <= SMALL:
        return lossless.getvalue(), ".png"
    picture.save(lossy, format="jpeg", quality=85)
    # of drawn images PNG is the smaller one, and shows no ringing
    return (lossless.getvalue(), ".png") if lossless.tell() <= lossy.tell() else (lossy.getvalue(), ".jpg")


def _write(path: Path, content: bytes) -> None:
    """Atomically, but not forced to disk: hundreds of them would take seconds, and each can be made again."""
    if _size(path) == len(content):  # its name is a hash of it
        return
    with writing(path, len(content)):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
        temporary.write_bytes(content)
        temporary.replace(path)


def _read(path: Path) -> dict[str, Any]:
    """The index that is there; a damaged one is begun anew."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        found = None
    found = _mapping(found)
    images = {str(name): _mapping(entries) for name, entries in _mapping(found.get("images")).items()}
    return {**found, "version": VERSION, "images": images}


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _files(images: Mapping[str, Any]) -> Iterable[str]:
    for entries in images.values():
        for entry in entries.values():
            file = entry.get("file") if isinstance(entry, Mapping) else None
            if isinstance(file, str):
                yield file


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return None
