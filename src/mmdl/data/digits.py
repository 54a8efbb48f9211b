"""Digits (Alpaydin and Kaynak 1998): 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import numpy as np

from mmdl.data.image_split import ImageSplit, stratified_holdout
from mmdl.data.images import ImageDataModule, ImageDataOptions

CLASSES = tuple("0123456789")

TEST_SHARE = 0.2
"""Share of the images that is the test split: the data set has none of its own."""


class DigitsSource:
    """The images that scikit-learn bundles; a fifth of them, stratified and always the same, is the test split."""

    def prepare(self) -> None:
        """Nothing: the files come with scikit-learn."""

    def split(self, name: str) -> ImageSplit | None:
        """`train` or `test`."""
        from sklearn.datasets import load_digits

        if name not in ("train", "test"):
            return None
        digits = load_digits()
        pixels = (digits.images * 255 / 16).round().astype(np.uint8)[:, None]  # (N, 1, 8, 8)
        labels = digits.target.astype(np.int64)
        train, test = stratified_holdout(labels, round(TEST_SHARE * len(labels)), seed=0)
        ids = [f"digits/{row}" for row in range(len(labels))]
        return ImageSplit(ids, labels, CLASSES, pixels).select(train if name == "train" else test)


def digits(**options: Unpack[ImageDataOptions]) -> ImageDataModule:
    """The data module of the digits.

    Args:
        **options: As for `ImageDataModule`.
    """
    return ImageDataModule(DigitsSource(), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """Nothing is written: the data set is offline as it is.

    Args:
        folder: Not used.

    Returns:
        No config keys.
    """
    return {}
