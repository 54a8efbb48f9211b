"""ImageNet (Deng et al. 2009, Russakovsky et al. 2015) and its subsets, as folders of synsets.

    root/train/n01440764/*.JPEG
    root/val/n01440764/*.JPEG      or root/val/*.JPEG with a file that says the labels

Fewer than the 1,000 synsets are a subset (Imagenette, ImageNet-100), and said. The official validation images, whose
score the literature reports, are the *test* split: they are read by the final test only. Validation images are held
out of train. Labels are in the order of the synsets, as in torchvision and in pretrained weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
import pyarrow as pa

from mmdl.data.bad_images import some
from mmdl.data.columns import update_digest
from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule, ImageDataOptions
from mmdl.data.paths import data_root
from mmdl.data.readers.class_folders import folder_names, image_names
from mmdl.data.readers.listing_cache import cached_class_folders
from mmdl.data.sources.class_trees import Tree
from mmdl.data.sources.imagenet import SYNSET, flat_labels, synset_names
from mmdl.errors import UserError

CLASSES = 1000
"""Synsets of the whole set."""

_KAGGLE = "ILSVRC/Data/CLS-LOC"


class ImageNetSource:
    """The folders.

    Args:
        root: Folder that holds `train` and `val`, or Kaggle's `ILSVRC`; None is `imagenet` in the data home.
    """

    def __init__(self, root: str | None = None) -> None:
        given = data_root(root, "imagenet")
        self.root = given / _KAGGLE if (given / _KAGGLE).is_dir() else given
        self._train: Tree | None = None

    def prepare(self) -> None:
        """The folders must be there: they can't be fetched without an account at image-net.org.

        Raises:
            UserError: naming what is missing.
        """
        if not any((self.root / name).is_dir() for name in ("train", "val")):
            raise UserError(
                f"there is no ImageNet in {self.root}",
                valid="a folder with train/n01440764/*.JPEG and val/n01440764/*.JPEG; offline: data=digits, "
                "or data=imagefolder data.root=FOLDER",
                fix="data.root=FOLDER",
            )

    def split(self, name: str) -> ImageSplit | None:
        """`train`, or `test`: the official validation images.

        Raises:
            UserError: the folders are no synsets, or the validation images have no labels.
        """
        folder = {"train": "train", "test": "val"}.get(name)
        if folder is None or not (self.root / folder).is_dir():
            return None
        train = self._training_tree()
        if name == "train" or train is None:
            tree = train or self._tree(folder).without_empty()
        else:
            tree = self._tree(folder).in_classes(train.classes, "val")
        split = tree.split(synset_names(), self._notes(tree))
        # names alone: a call to the file system for each of 1.3 million files takes minutes on a network disk
        return replace(split, content=_digest(tree.names))

    def _training_tree(self) -> Tree | None:
        if self._train is None and (self.root / "train").is_dir():
            self._train = self._tree("train").without_empty().without_single()
        return self._train

    def _tree(self, folder: str) -> Tree:
        place = self.root / folder
        synsets = folder_names(str(place))
        if folder == "val" and not any(SYNSET.fullmatch(name) for name in synsets):
            return self._flat(place, synsets)
        strangers = [name for name in synsets if not SYNSET.fullmatch(name)]
        if strangers:
            raise UserError(
                f"{place} has folders that are no synsets: {some(strangers)}",
                valid="folders such as n01440764",
                fix=f"move them out of {place}; for folders of another kind: data=imagefolder data.root={self.root}",
            )
        return Tree.of(self.root, folder, cached_class_folders(str(place)))

    def _flat(self, place: Path, folders: Sequence[str]) -> Tree:
        """The validation images without class folders: `val/*.JPEG`, or `val/images/*.JPEG` as in Tiny ImageNet."""
        below = "images/" if list(folders) == ["images"] else ""
        images = image_names(str(place / below))
        labels = flat_labels(self.root, place, images)
        classes = sorted(set(labels))
        order = {name: label for label, name in enumerate(classes)}
        return Tree(
            self.root,
            "val",
            pa.array([f"val/{below}{name}" for name in images], type=pa.string()),
            np.array([order[name] for name in labels], dtype=np.int64),
            tuple(classes),
        )

    def _notes(self, tree: Tree) -> tuple[str, ...]:
        found = len(tree.classes)
        return (f"a subset of ImageNet: {found:,} of {CLASSES:,} classes",) if found < CLASSES else ()


def _digest(names: pa.Array) -> str:
    digest = hashlib.sha256()
    update_digest(digest, names)
    return digest.hexdigest()


def imagenet(root: str | None = None, **options: Unpack[ImageDataOptions]) -> ImageDataModule:
    """The data module of ImageNet; the module's docstring describes its splits.

    Args:
        root: As for `ImageNetSource`.
        **options: As for `ImageDataModule`.
    """
    return ImageDataModule(ImageNetSource(root), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """Three synsets of drawn JPEGs.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    from PIL import Image

    from mmdl.data.sources.coloured_squares import coloured_squares

    synsets = ("n01440764", "n02102040", "n03028079")
    images, labels = coloured_squares(count=120, classes=len(synsets), size=48)
    for row, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        synset, split = synsets[label], "train" if row < 90 else "val"
        name = f"{synset}_{row}.JPEG" if split == "train" else f"ILSVRC2012_val_{row:08d}.JPEG"
        place = folder / split / synset
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(place / name, "JPEG", quality=95)
    return {"data.root": str(folder), "data.image_size": "32", "data.val_share": "0.2"}
