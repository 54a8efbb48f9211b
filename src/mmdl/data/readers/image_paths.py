"""Checks the path that a file of samples gives for an image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdl.data.readers.bad_samples import Problem, check_string


def image_path(row: Mapping[str, Any], root: Path, key: str = "image") -> str | Problem:
    """The path in its shortest form, relative to `root` where it lies below it, or what is wrong with it.

    Args:
        row: A sample.
        root: Absolute folder of the images, below which relative paths must stay.
        key: Of the path in `row`.

    >>> image_path({"image": "cats//1.jpg"}, Path("/data"))
    'cats/1.jpg'
    >>> image_path({"image": "../1.jpg"}, Path("/data")).reason
    'bad image path'
    """
    problem = check_string(row, key)
    if problem:
        return problem
    given: str = row[key]
    if not given.strip() or "\0" in given:
        return Problem("bad image path", repr(given))
    if "/" not in given and "\\" not in given and given not in (".", ".."):
        return given  # a Path for each of half a million names takes seconds
    if Path(given).is_absolute():
        path = Path(os.path.normpath(given))
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    path = Path(os.path.normpath(given))
    if ".." in path.parts:
        return Problem("bad image path", f"{given!r} leaves the folder of images {root}")
    return path.as_posix()
