"""One split of an image-classification data set, and how a validation set is held out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mmdl.data.bad_images import BadSamples
from mmdl.data.columns import Column
from mmdl.data.image_dataset import Pixels, SelectedPixels
from mmdl.data.image_files import ImageFiles

IntArray = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass
class ImageSplit:
    """Images with their classes, in a fixed order; exactly one of `pixels`, `files` and `decoded` is given.

    Attributes:
        ids: `N` names, unique over all splits of the data set, such as `train/17` or `cat/01.jpg`.
        labels: `(N,)` int64 class of each image; -1 everywhere where there are no references.
        classes: Names of the `K` classes, in the order of the labels.
        pixels: `(N, C, H, W)` uint8, in memory.
        files: Image files that are to be decoded.
        decoded: Images that lie decoded on disk, of the size that is asked for.
        content: A hash of the images, for the fingerprint; empty hashes `pixels`, or what `files` say of themselves.
        bad: What was left out.
        notes: Lines that belong beside the figures, such as how the split was made.
    """

    ids: Sequence[str]
    labels: IntArray
    classes: tuple[str, ...]
    pixels: Bytes | None = None
    files: ImageFiles | None = None
    decoded: Pixels | None = None
    content: str = ""
    bad: list[BadSamples] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: IntArray) -> ImageSplit:
        """The split with only these rows, in this order; what was left out stays with the whole."""
        return ImageSplit(
            self.ids.select(rows)
            if isinstance(self.ids, Column)
            else [self.ids[row] for row in rows.tolist()],
            self.labels[rows],
            self.classes,
            None if self.pixels is None else self.pixels[rows],
            None if self.files is None else self.files.select(rows),
            None if self.decoded is None else SelectedPixels(self.decoded, rows),
            self.content,
            notes=self.notes,
        )

    def relabelled(self, classes: tuple[str, ...]) -> ImageSplit:
        """The same images with the same classes in another order."""
        order = np.array([classes.index(name) for name in self.classes], dtype=np.int64)
        labels = np.where(self.labels < 0, self.labels, order[self.labels])
        return replace(self, labels=labels, classes=classes)

    def fingerprint(self) -> str:
        """SHA-256 over ids, labels, classes and images."""
        digest = hashlib.sha256("\0".join([*self.classes, "", *self.ids]).encode())
        digest.update(self.labels.tobytes())
        if self.content:
            digest.update(self.content.encode())
        elif self.pixels is not None:
            digest.update(np.ascontiguousarray(self.pixels).data)
        elif self.files is not None:
            digest.update(self.files.digest().encode())
        return digest.hexdigest()


class ImageSource(Protocol):
    """Where the images come from."""

    def prepare(self) -> None:
        """Make or fetch the files; called on one process at a time."""

    def split(self, name: str) -> ImageSplit | None:
        """`train`, `val` or `test`; None where the source has no such split (`val` is then held out of `train`)."""


def stratified_holdout(labels: IntArray, count: int, seed: int, keep: int = 1) -> tuple[IntArray, IntArray]:
    """Rows to train on and rows held out, the classes in the same proportions in both.

    Each class gives its share of `count`, rounded so that the sum is exact (largest remainder first).

    Args:
        labels: `(N,)` int64 class of each image.
        count: How many to hold out; at most `N - keep * K`.
        seed: Which.
        keep: Images of each class that are never held out.

    Returns:
        Training rows and held-out rows, each ascending, disjoint.

    >>> train, held_out = stratified_holdout(np.array([0, 0, 0, 0, 1, 1, 1, 1]), count=2, seed=0)
    >>> np.array([0, 0, 0, 0, 1, 1, 1, 1])[held_out].tolist(), len(train)
    ([0, 1], 6)
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    sizes = np.unique(labels, return_counts=True)[1]
    most = np.maximum(sizes - keep, 0)
    assert 0 <= count <= most.sum(), f"{count} of {most.sum()} can be held out"
    exact = count * sizes / max(1, len(labels))
    wanted = np.minimum(np.floor(exact).astype(np.int64), most)
    while wanted.sum() < count:
        for position in np.argsort(-(exact - wanted), kind="stable").tolist():
            if wanted.sum() < count:
                wanted[position] += wanted[position] < most[position]
    order = np.argsort(labels, kind="stable").astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    held = [
        order[start : start + size][rng.permutation(size)[:share]]
        for start, size, share in zip(starts.tolist(), sizes.tolist(), wanted.tolist(), strict=True)
    ]
    held_out = np.sort(np.concatenate([np.empty(0, dtype=np.int64), *held]))
    keeping = np.ones(len(labels), dtype=bool)
    keeping[held_out] = False
    return np.flatnonzero(keeping).astype(np.int64), held_out
