"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): 60,000 + 10,000 pieces of clothing, in the files of MNIST."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from mmdl.data import mnist
from mmdl.data.images import ImageDataModule, ImageDataOptions
from mmdl.data.sources.idx_images import IdxSet, IdxSource

FASHION_MNIST = IdxSet(
    name="fashion_mnist",
    folder="FashionMNIST",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    # mirror and MD5s as in torchvision.datasets.FashionMNIST; the second mirror is the authors' repository
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
    ),
    md5={
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)
"""What is published."""


def fashion_mnist(root: str | None = None, **options: Unpack[ImageDataOptions]) -> ImageDataModule:
    """The data module of Fashion-MNIST.

    Args:
        root: As for `IdxSource`.
        **options: As for `ImageDataModule`.
    """
    return ImageDataModule(IdxSource(FASHION_MNIST, root), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """A few images in the original format: digits stand in for clothing, as in `mmdl.data.mnist`.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    return mnist.write_fixture(folder)
