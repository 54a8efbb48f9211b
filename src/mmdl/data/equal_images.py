"""Which images of a captioned split are the same picture under two ids: they are positives of each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mmdl.data.cache import cache_key, cached_folder
from mmdl.data.duplicates import equal_files
from mmdl.data.image_files import ImageFiles, ListedFiles
from mmdl.data.sampler import IntArray

REMEMBER_FROM = 2_000
"""From so many files on the answer is kept on disk: finding it reads the end of many of them."""


def equal_images(files: ImageFiles) -> IntArray:
    """The first image with the same bytes, for each image.

    Args:
        files: `N` images. Those that are no files of their own are told apart by their source.

    Returns:
        `(N,)` int64 rows; a row's own number where no image before it is the same.
    """
    if not isinstance(files, ListedFiles):
        return np.arange(len(files), dtype=np.int64)
    if len(files) < REMEMBER_FROM:
        return equal_files(files)

    def build(folder: Path) -> dict[str, Any]:
        np.save(folder / "first.npy", equal_files(files))
        return {}

    folder, _ = cached_folder("equal", cache_key({"v": 1, "files": files.identity()}), build)
    first: IntArray = np.load(folder / "first.npy")
    return first
