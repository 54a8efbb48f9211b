"""MNIST (LeCun et al. 1998): 60,000 + 10,000 handwritten digits of 28 x 28 pixels, in the original IDX files."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from mmdl.data.images import ImageDataModule, ImageDataOptions
from mmdl.data.readers.idx import write_idx
from mmdl.data.sources.idx_images import NAMES, IdxSet, IdxSource

MNIST = IdxSet(
    name="mnist",
    folder="MNIST",
    classes=tuple("0123456789"),
    # mirrors and MD5s as in torchvision.datasets.MNIST
    mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist", "http://yann.lecun.com/exdb/mnist"),
    md5={
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)
"""What is published."""


def mnist(root: str | None = None, **options: Unpack[ImageDataOptions]) -> ImageDataModule:
    """The data module of MNIST.

    Args:
        root: As for `IdxSource`.
        **options: As for `ImageDataModule`.
    """
    return ImageDataModule(IdxSource(MNIST, root), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """A few digits in the original format: those that scikit-learn bundles, enlarged.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    import numpy as np
    from sklearn.datasets import load_digits

    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    small = (digits.images * 255 / 16).round().astype(np.uint8)
    large = np.pad(small.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))  # (N, 28, 28)
    for name, rows in (("train", slice(0, 120)), ("test", slice(120, 160))):
        for file, array in zip(NAMES[name], (large[rows], digits.target[rows].astype(np.uint8)), strict=True):
            write_idx(folder / f"{file}.gz", array)
    return {"data.root": str(folder)}
