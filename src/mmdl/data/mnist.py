"""MNIST (LeCun et al. 1998): 60,000 + 10,000 handwritten digits of 28 x 28 pixels, in the original IDX files."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import numpy as np

from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule, ImageDataOptions
from mmdl.data.paths import data_root
from mmdl.data.readers.idx import read_idx

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
CLASSES = tuple("0123456789")


class MNISTSource:
    """The four files."""

    def __init__(self, root: str | None = None) -> None:
        self.root = data_root(root, "mnist")

    def prepare(self) -> None:
        """The files must be there."""

    def split(self, name: str) -> ImageSplit | None:
        """`train` or `test`."""
        if name not in FILES:
            return None
        images, labels = (read_idx(self.root / f"{file}.gz") for file in FILES[name])
        ids = [f"{name}/{row}" for row in range(len(labels))]
        return ImageSplit(ids, labels.astype(np.int64), CLASSES, images[:, None])


def mnist(root: str | None = None, **options: Unpack[ImageDataOptions]) -> ImageDataModule:
    """The data module of MNIST.

    Args:
        root: Folder of the files.
        **options: As for `ImageDataModule`.
    """
    return ImageDataModule(MNISTSource(root), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """A few digits in the original format.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    import gzip

    from sklearn.datasets import load_digits

    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    small = (digits.images * 255 / 16).round().astype(np.uint8)
    large = np.pad(small.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))  # (N, 28, 28)
    for name, rows in (("train", slice(0, 120)), ("test", slice(120, 160))):
        for file, array in zip(FILES[name], (large[rows], digits.target[rows].astype(np.uint8)), strict=True):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
            (folder / f"{file}.gz").write_bytes(gzip.compress(header + array.tobytes()))
    return {"data.root": str(folder)}
