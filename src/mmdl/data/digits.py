"""The handwritten digits that scikit-learn bundles (Alpaydin and Kaynak 1998): 1,797 of 8 x 8 pixels, offline.

They are the test part of "Optical Recognition of Handwritten Digits" (archive.ics.uci.edu/dataset/80), so that they
have no test split of their own: a share is held out, always the same images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import numpy as np

from mmdl.data.holdout import hold_out_test
from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule, ImageDataOptions

CLASSES = tuple("0123456789")
LEVELS = 16
"""Largest value of a pixel in the bundled file."""


class DigitsSource:
    """The bundled digits.

    Args:
        test_share: Share that is the test split.
    """

    def __init__(self, test_share: float = 0.2) -> None:
        self.test_share = test_share

    def prepare(self) -> None:
        """Nothing: they come with scikit-learn."""

    def split(self, name: str) -> ImageSplit | None:
        """`train` or `test`."""
        if name not in ("train", "test"):
            return None
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = np.round(digits.images[:, None] * (255 / LEVELS)).astype(np.uint8)  # (N, 1, 8, 8)
        ids = [f"digits/{row}" for row in range(len(pixels))]
        whole = ImageSplit(ids, digits.target.astype(np.int64), CLASSES, pixels=pixels)
        return hold_out_test(whole, self.test_share)[name]


def digits(test_share: float = 0.2, **options: Unpack[ImageDataOptions]) -> ImageDataModule:
    """The data module of the bundled digits.

    Args:
        test_share: As for `DigitsSource`.
        **options: As for `ImageDataModule`.
    """
    return ImageDataModule(DigitsSource(test_share), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """Nothing: the data set itself is at hand.

    Args:
        folder: Unused.

    Returns:
        No config keys.
    """
    return {}
