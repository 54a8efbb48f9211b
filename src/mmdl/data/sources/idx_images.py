"""Image sets in the four IDX files of MNIST (yann.lecun.com/exdb/mnist): MNIST itself, Fashion-MNIST and their like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmdl.data.image_split import ImageSplit
from mmdl.data.paths import data_root
from mmdl.data.readers.idx import read_idx
from mmdl.data.sources.official_files import OfficialFile, fetch
from mmdl.errors import UserError

NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""Split -> names of its files, without `.gz`."""

ROWS = {"train": 60_000, "test": 10_000}
"""Images of the official splits."""


@dataclass(frozen=True)
class IdxSet:
    """One published set.

    Attributes:
        name: Of the data set in mmdl.
        folder: In which torchvision keeps it, below its root.
        classes: Names of the ten classes.
        mirrors: Addresses of the folders that hold the files.
        md5: File name -> MD5 of the `.gz` file.
    """

    name: str
    folder: str
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]
    md5: dict[str, str]


class IdxSource:
    """The four files, compressed or not, in `root`, `root/raw` or torchvision's `root/<folder>/raw`.

    Args:
        published: Which set.
        root: Folder of the files; None is the set's name in the data home.
        mirrors: Addresses in place of the published ones; checksums stay the same.
    """

    def __init__(self, published: IdxSet, root: str | None = None, mirrors: Sequence[str] = ()) -> None:
        self.published = published
        self.root = data_root(root, published.name)
        self.mirrors = tuple(mirrors) or published.mirrors

    def _find(self, name: str) -> Path | None:
        folders = (self.root, self.root / "raw", self.root / self.published.folder / "raw")
        places = [folder / f"{name}{suffix}" for folder in folders for suffix in (".gz", "")]
        return next((place for place in places if place.is_file()), None)

    def prepare(self) -> None:
        """Fetch the files that are not there.

        Raises:
            UserError: they can't be had.
        """
        names = [name for pair in NAMES.values() for name in pair]
        missing = [f"{name}.gz" for name in names if self._find(name) is None]
        if missing:
            files = [OfficialFile(name, self.published.md5[name]) for name in missing]
            fetch(files, self.root, self.mirrors)

    def split(self, name: str) -> ImageSplit | None:
        """`train` or `test`; any number of images of any size, with labels of the ten classes.

        Raises:
            UserError: a file is damaged, or the files don't belong together.
        """
        if name not in NAMES:
            return None
        paths = [self._find(file) for file in NAMES[name]]
        assert all(paths), "prepare() has been called"
        images, labels = (read_idx(path) for path in paths if path is not None)
        fix = f"put the original files into {self.root}, or remove them to fetch them"
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise UserError(
                f"{paths[0]} and {paths[1]} don't belong together: shapes {images.shape} and {labels.shape}",
                valid="images (N, H, W) and labels (N,)",
                fix=fix,
            )
        classes = self.published.classes
        if not len(labels) or labels.max() >= len(classes):
            found = f"a label {labels.max()}" if len(labels) else "no labels"
            raise UserError(f"{paths[1]} holds {found}", valid=f"0 to {len(classes) - 1}", fix=fix)
        ids = [f"{name}/{row}" for row in range(len(labels))]
        notes = () if len(ids) == ROWS[name] else (unofficial(len(ids), ROWS[name], name),)
        return ImageSplit(ids, labels.astype(np.int64), classes, pixels=images[:, None], notes=notes)


def unofficial(found: int, official: int, split: str) -> str:
    """The note on a split that has not as many images as the official one.

    >>> unofficial(1000, 60000, "train")
    'not the official files: 1,000 train images, officially 60,000'
    """
    return f"not the official files: {found:,} {split} images, officially {official:,}"
