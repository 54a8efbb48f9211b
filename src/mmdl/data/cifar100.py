"""CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 colour images of 32 x 32 pixels, in 100 classes or 20 superclasses."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Unpack

from mmdl.data.images import ImageDataModule, ImageDataOptions
from mmdl.data.readers.cifar import binary_batch, pickled_batch, pickled_names, text_names
from mmdl.data.sources.cifar import CifarForm, CifarSource


def forms(coarse: bool) -> tuple[CifarForm, ...]:
    """The Python version, which is fetched, and the binary one.

    Args:
        coarse: Read the 20 superclasses in place of the 100 classes.
    """
    kind = "coarse" if coarse else "fine"
    return (
        CifarForm(
            folder="cifar-100-python",
            archive="cifar-100-python.tar.gz",
            md5="eb9058c3a382ffc7106e4002c42a8d85",  # as in torchvision.datasets.CIFAR100
            batches={"train": ("train",), "test": ("test",)},
            names_file="meta",
            batch=partial(pickled_batch, key=f"{kind}_labels"),
            names=partial(pickled_names, key=f"{kind}_label_names"),
        ),
        CifarForm(
            folder="cifar-100-binary",
            archive="cifar-100-binary.tar.gz",
            md5="",
            batches={"train": ("train.bin",), "test": ("test.bin",)},
            names_file=f"{kind}_label_names.txt",
            batch=partial(binary_batch, label_bytes=2, column=0 if coarse else 1),
            names=text_names,
        ),
    )


def cifar100(
    root: str | None = None, coarse: bool = False, **options: Unpack[ImageDataOptions]
) -> ImageDataModule:
    """The data module of CIFAR-100.

    Args:
        root: As for `CifarSource`.
        coarse: The 20 superclasses in place of the 100 classes.
        **options: As for `ImageDataModule`.
    """
    return ImageDataModule(CifarSource("cifar100", forms(coarse), root), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """A few images in the files of the Python version: squares of one colour a class, in noise.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    import pickle

    from mmdl.data.sources.coloured_squares import coloured_squares

    form = forms(coarse=False)[0]
    target = folder / form.folder
    target.mkdir(parents=True, exist_ok=True)
    images, labels = coloured_squares(count=500, classes=100)
    for split, rows in (("train", slice(0, 400)), ("test", slice(400, 500))):
        batch = {
            b"data": images[rows].reshape(-1, 3072),
            b"fine_labels": labels[rows].tolist(),
            b"coarse_labels": (labels[rows] // 5).tolist(),
        }
        (target / split).write_bytes(pickle.dumps(batch, protocol=2))
    meta = {
        f"{kind}_label_names".encode(): [f"{kind} {n}".encode() for n in range(count)]
        for kind, count in (("fine", 100), ("coarse", 20))
    }
    (target / form.names_file).write_bytes(pickle.dumps(meta, protocol=2))
    return {"data.root": str(folder)}
