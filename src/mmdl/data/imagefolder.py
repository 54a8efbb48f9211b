"""Your own images: a folder for each class, in one tree or in trees for train, val and test.

    root/cat/*.jpg, root/dog/*.jpg                            validation and test images are held out, always the same
    root/train/cat/*.jpg, root/test/cat/*.jpg, ...            val (or valid, validation) is held out of train if absent

Classes are sorted by name. Folders below a class belong to it. Hidden files are passed over.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Unpack

from mmdl.data.bad_images import some
from mmdl.data.holdout import hold_out_test
from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule, ImageDataOptions
from mmdl.data.readers.class_folders import folder_names
from mmdl.data.readers.listing_cache import cached_class_folders
from mmdl.data.sources.class_trees import Tree
from mmdl.errors import UserError, nearest

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Split -> names of its folder."""


class FolderSource:
    """A tree of class folders, or a tree for each split.

    Args:
        root: The folder.
        test_share: Of the images, where they lie in one tree: the test split.
    """

    def __init__(self, root: str, test_share: float = 0.2) -> None:
        self.root = Path(root).expanduser()
        self.test_share = test_share
        self._trees: dict[str, Tree] = {}
        self._parts: dict[str, ImageSplit] = {}

    def prepare(self) -> None:
        """The folder must be there.

        Raises:
            UserError: it is not.
        """
        if os.path.isdir(self.root):  # noqa: PTH112 - False, too, where a folder above can't be entered
            return
        what = "is no folder" if os.path.exists(self.root) else "does not exist"  # noqa: PTH110
        above = self.root.parent
        beside = folder_names(str(above)) if os.path.isdir(above) else []  # noqa: PTH112
        raise UserError(
            f"data.root={self.root} {what}",
            valid=nearest(self.root.name, beside) or "a folder with a folder for each class",
            fix="data.root=FOLDER",
        )

    def _folders(self) -> dict[str, str]:
        """Split -> its folder; empty where the root holds the class folders.

        Raises:
            UserError: two folders are one split.
        """
        present = folder_names(str(self.root))
        found: dict[str, str] = {}
        for split, names in SPLITS.items():
            given = [name for name in names if name in present]
            if len(given) > 1:
                raise UserError(
                    f"{self.root} has {' and '.join(given)}, which are both the {split} split",
                    valid="one of them",
                    fix="merge them, or move one out of the folder",
                )
            if given:
                found[split] = given[0]
        # "train" may also be a class, beside bus and car: that of a split holds folders
        trees = {split for split, name in found.items() if folder_names(str(self.root / name))}
        others = [name for name in present if name not in found.values()]
        if "train" in trees and others and len(found) == 1:
            raise UserError(
                f"{self.root} has folders inside {found['train']}, and beside it {some(others)}",
                valid="train/CLASS/*.jpg (and val/, test/), or a folder for each class",
                fix=f"data.root={self.root / found['train']}, or move the others out of {self.root}",
            )
        return found if "train" in trees or (trees and not others) else {}

    def _tree(self, folder: str) -> Tree:
        if folder not in self._trees:
            place = self.root / folder if folder else self.root
            self._trees[folder] = Tree.of(self.root, folder, cached_class_folders(str(place)))
        return self._trees[folder]

    def split(self, name: str) -> ImageSplit | None:
        """`train`, `val` or `test`.

        Raises:
            UserError: there are no classes or no images, or a folder can't be read.
        """
        folders = self._folders()
        if folders:
            return self._of_trees(name, folders)
        if name == "val":
            return None
        if not self._parts:
            whole = self._tree("").without_empty().without_single().split()
            self._parts = hold_out_test(whole, self.test_share)
        return self._parts.get(name)

    def _of_trees(self, name: str, folders: dict[str, str]) -> ImageSplit | None:
        if name not in folders:
            return None
        if "train" not in folders:
            return self._tree(folders[name]).without_empty().split()
        train = self._tree(folders["train"]).without_empty()
        if "val" not in folders:
            train = train.without_single()
        if name == "train":
            return train.split(notes=self._ignored(folders))
        return self._tree(folders[name]).in_classes(train.classes, name).split()

    def _ignored(self, folders: dict[str, str]) -> tuple[str, ...]:
        rest = [name for name in folder_names(str(self.root)) if name not in folders.values()]
        return (f"not used: {', '.join(rest)} in {self.root}",) if rest else ()


def imagefolder(root: str, test_share: float = 0.2, **options: Unpack[ImageDataOptions]) -> ImageDataModule:
    """The data module of your own images.

    Args:
        root: As for `FolderSource`.
        test_share: As for `FolderSource`.
        **options: As for `ImageDataModule`.
    """
    return ImageDataModule(FolderSource(root, test_share), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """Three classes of drawn JPEGs in one tree.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    from PIL import Image

    from mmdl.data.sources.coloured_squares import coloured_squares

    names = ("red", "green", "blue")
    images, labels = coloured_squares(count=90, classes=len(names), size=40)
    for row, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        place = folder / names[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(place / f"{row:03d}.jpg", quality=95)
    return {"data.root": str(folder), "data.image_size": "32"}
