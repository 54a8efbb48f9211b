"""Splits out of trees of class folders: one tree that is split here, or a tree for each of train, val and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmdl.data.bad_images import BadSamples, some
from mmdl.data.image_files import PathFiles
from mmdl.data.image_split import ImageSplit, IntArray
from mmdl.data.readers.class_folders import ClassFolders
from mmdl.errors import UserError


@dataclass
class Tree:
    """The images of one tree, which the steps below take away from.

    Attributes:
        root: Folder that the names start from.
        folder: Folder of the classes below it; may be empty.
        names: `N` paths relative to `root`.
        labels: `(N,)` int64 index into `classes`.
        classes: Names of the class folders.
        bad: What was taken away, or found bad in the listing.
    """

    root: Path
    folder: str
    names: pa.Array
    labels: IntArray
    classes: tuple[str, ...]
    bad: list[BadSamples] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path, folder: str, listing: ClassFolders) -> Tree:
        """The tree in `root/folder`, its names relative to `root`.

        Raises:
            UserError: it has no class folders.
        """
        place = root / folder
        if not listing.classes:
            raise UserError(
                f"there are no class folders in {place}",
                valid=f"{place}/CLASS/*.jpg, a folder for each class",
                fix="put the images of each class into a folder of its own",
            )
        names = pc.binary_join_element_wise(folder, listing.names, "/") if folder else listing.names
        return cls(root, folder, names, listing.labels, listing.classes, list(listing.bad))

    def counts(self) -> IntArray:
        """`(K,)` images of each class."""
        return np.bincount(self.labels, minlength=len(self.classes)).astype(np.int64)

    def without_empty(self) -> Tree:
        """The tree without classes that have no image.

        Raises:
            UserError: none has one.
        """
        counts = self.counts()
        if not counts.any():
            raise UserError(
                f"there are no images in the {len(counts):,} class folders of {self.root / self.folder}",
                valid=f"{self.root / self.folder}/CLASS/*.jpg",
                fix="check data.root",
            )
        return self._only(counts > 0, "empty class", "the class {name!r} has no images")

    def without_single(self) -> Tree:
        """The tree without classes of one image, for a tree of which a part is held out."""
        why = "the class {name!r} has one image only, which can't be both trained on and held out"
        return self._only(self.counts() > 1, "class with one image", why)

    def _only(self, keep: np.ndarray[tuple[int], np.dtype[np.bool_]], reason: str, why: str) -> Tree:
        if keep.all():
            return self
        bad = [
            BadSamples(reason, why.format(name=self.classes[label]))
            for label in np.flatnonzero(~keep).tolist()
        ]
        rows = keep[self.labels]
        labels = (np.cumsum(keep) - 1)[self.labels[rows]].astype(np.int64)
        classes = tuple(name for name, kept in zip(self.classes, keep.tolist(), strict=True) if kept)
        return replace(
            self,
            names=self.names.filter(pa.array(rows)),
            labels=labels,
            classes=classes,
            bad=self.bad + bad,
        )

    def in_classes(self, classes: Sequence[str], split: str) -> Tree:
        """The tree with the classes of the training tree; images of other classes are taken away.

        Args:
            classes: Those of the training tree.
            split: Name of this one, for the messages.
        """
        order = {name: label for label, name in enumerate(classes)}
        target = np.array([order.get(name, -1) for name in self.classes], dtype=np.int64)
        counts = dict(zip(self.classes, self.counts().tolist(), strict=True))
        bad = [
            BadSamples(
                f"class not in {split}", f"the class {name!r} is in train and has no images in {split}"
            )
            for name in classes
            if not counts.get(name)
        ]
        for name, count in counts.items():
            if count and name not in order:
                message = f"the class {name!r} is in {split} ({count:,} images) and not in train"
                bad.append(BadSamples("class not in train", message, count))
        labels = target[self.labels]
        rows = labels >= 0
        if not rows.any():
            raise UserError(
                f"no image of {split} is of a class of train: {some(self.classes)}",
                valid=some(tuple(classes)),
                fix="the same class folders in both",
            )
        return replace(
            self,
            names=self.names.filter(pa.array(rows)),
            labels=labels[rows],
            classes=tuple(classes),
            bad=self.bad + bad,
        )

    def split(self, names: Mapping[str, str] | None = None, notes: tuple[str, ...] = ()) -> ImageSplit:
        """The images as a split; the ids are their paths.

        Args:
            names: Class folder -> name of the class, where the folder's own is none for people.
            notes: Lines that belong beside the figures.
        """
        files = PathFiles(str(self.root), self.names)
        classes = tuple((names or {}).get(name, name) for name in self.classes)
        return ImageSplit(files.names, self.labels, classes, files=files, bad=self.bad, notes=notes)
