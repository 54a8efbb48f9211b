"""CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 colour images of 32 x 32 pixels in ten classes, in the original files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Unpack

from mmdl.data.images import ImageDataModule, ImageDataOptions
from mmdl.data.readers.cifar import binary_batch, pickled_batch, pickled_names, text_names
from mmdl.data.sources.cifar import CifarForm, CifarSource

FORMS = (
    CifarForm(
        folder="cifar-10-batches-py",
        archive="cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",  # as in torchvision.datasets.CIFAR10
        batches={"train": tuple(f"data_batch_{n}" for n in range(1, 6)), "test": ("test_batch",)},
        names_file="batches.meta",
        batch=partial(pickled_batch, key="labels"),
        names=partial(pickled_names, key="label_names"),
    ),
    CifarForm(
        folder="cifar-10-batches-bin",
        archive="cifar-10-binary.tar.gz",
        md5="",
        batches={"train": tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test": ("test_batch.bin",)},
        names_file="batches.meta.txt",
        batch=partial(binary_batch, label_bytes=1, column=0),
        names=text_names,
    ),
)
"""The Python version, which is fetched, and the binary one."""

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""Names of the classes, for the fixture; those of a data set come from its own files."""


def cifar10(root: str | None = None, **options: Unpack[ImageDataOptions]) -> ImageDataModule:
    """The data module of CIFAR-10.

    Args:
        root: As for `CifarSource`.
        **options: As for `ImageDataModule`.
    """
    return ImageDataModule(CifarSource("cifar10", FORMS, root), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """A few images in the files of the Python version: squares of one colour a class, in noise.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    import pickle

    from mmdl.data.sources.coloured_squares import coloured_squares

    target = folder / FORMS[0].folder
    target.mkdir(parents=True, exist_ok=True)
    images, labels = coloured_squares(count=140, classes=len(CLASSES))
    files = [name for names in FORMS[0].batches.values() for name in names]
    for number, name in enumerate(files):
        rows = slice(20 * number, 20 * (number + 1)) if name != "test_batch" else slice(100, 140)
        batch = {b"data": images[rows].reshape(-1, 3072), b"labels": labels[rows].tolist()}
        (target / name).write_bytes(pickle.dumps(batch, protocol=2))
    meta = {b"label_names": [name.encode() for name in CLASSES]}
    (target / FORMS[0].names_file).write_bytes(pickle.dumps(meta, protocol=2))
    return {"data.root": str(folder)}
