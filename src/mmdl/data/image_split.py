"""One split of an image-classification data set, and how a validation set is held out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass
class ImageSplit:
    """Images with their classes, in a fixed order.

    Attributes:
        ids: `N` names, unique over all splits of the data set, such as `train/17` or `cat/01.jpg`.
        labels: `(N,)` int64 class of each image; -1 everywhere where there are no references.
        classes: Names of the `K` classes, in the order of the labels.
        pixels: `(N, C, H, W)` uint8 where the images are in memory already; else None.
        paths: `N` image files where they are not; else None.
        content: What the pixels depend on, for the fingerprint: a hash of the files, or empty to hash `pixels`.
        skipped: Samples left out, by reason.
    """

    ids: Sequence[str]
    labels: IntArray
    classes: tuple[str, ...]
    pixels: Bytes | None = None
    paths: Sequence[Path] | None = None
    content: str = ""
    skipped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: IntArray) -> ImageSplit:
        """The split with only these rows, in this order; what was left out stays counted in the whole."""
        return ImageSplit(
            [self.ids[row] for row in rows.tolist()],
            self.labels[rows],
            self.classes,
            None if self.pixels is None else self.pixels[rows],
            None if self.paths is None else [self.paths[row] for row in rows.tolist()],
        )

    def fingerprint(self) -> str:
        """SHA-256 over ids, labels, classes and pixels (for files: the content that the source names, or paths)."""
        digest = hashlib.sha256("\0".join([*self.classes, "", *self.ids]).encode())
        digest.update(self.labels.tobytes())
        if self.content:
            digest.update(self.content.encode())
        elif self.pixels is not None:
            digest.update(np.ascontiguousarray(self.pixels).data)
        elif self.paths is not None:
            digest.update("\0".join(f"{path.name} {path.stat().st_size}" for path in self.paths).encode())
        return digest.hexdigest()


class ImageSource(Protocol):
    """Where the images come from."""

    def prepare(self) -> None:
        """Make or fetch the files; called on one process at a time."""

    def split(self, name: str) -> ImageSplit | None:
        """`train`, `val` or `test`; None where the source has no such split (`val` is then held out of `train`)."""


def stratified_holdout(labels: IntArray, count: int, seed: int) -> tuple[IntArray, IntArray]:
    """Rows to train on and rows held out, the classes in the same proportions in both.

    Each class gives its share of `count`, rounded so that the sum is exact (largest remainder first), and keeps at
    least one image to train on.

    Args:
        labels: `(N,)` int64 class of each image.
        count: How many to hold out; at most `N - K`.
        seed: Which.

    Returns:
        Training rows and held-out rows, each ascending, disjoint.

    >>> train, held_out = stratified_holdout(np.array([0, 0, 0, 0, 1, 1, 1, 1]), count=2, seed=0)
    >>> np.array([0, 0, 0, 0, 1, 1, 1, 1])[held_out].tolist(), len(train)
    ([0, 1], 6)
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    present, sizes = np.unique(labels, return_counts=True)
    exact = count * sizes / len(labels)
    wanted = np.minimum(np.floor(exact).astype(np.int64), sizes - 1)
    for position in np.argsort(-(exact - wanted), kind="stable").tolist() * 2:
        if wanted.sum() >= count:
            break
        wanted[position] += wanted[position] < sizes[position] - 1
    held = [
        rng.permutation(np.flatnonzero(labels == label))[:share]
        for label, share in zip(present.tolist(), wanted.tolist(), strict=True)
    ]
    held_out = np.sort(np.concatenate(held)).astype(np.int64)
    keep = np.ones(len(labels), dtype=bool)
    keep[held_out] = False
    return np.flatnonzero(keep).astype(np.int64), held_out
