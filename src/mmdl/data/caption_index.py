"""The index of a split of captioned images: validated columns, the captions of an image next to each other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from mmdl.data.columns import id_array, update_digest
from mmdl.data.image_files import ImageFiles, ListedFiles
from mmdl.data.pixels import ChosenPixels
from mmdl.data.sampler import IntArray
from mmdl.errors import UserError

Id = int | str


class CaptionIndex:
    """`I` images with `T >= I` captions, in the order of the source.

    Args:
        image_ids: `I` distinct ids: all integers or all strings.
        image_paths: `I` paths: absolute, or relative to `root`; empty strings where the images are no files.
        captions: `I` lists of at least one caption each.
        root: Folder that relative paths start from.
        skipped: Samples that were left out, by reason.
        notes: Lines that belong beside the figures of the split.
        joined: Entries that were there twice and count once.
        files: The encoded images, where they are no files of their own.
        decoded: The images at the size that the model sees, where the source decoded them.

    Raises:
        UserError: There is no image.
    """

    def __init__(
        self,
        image_ids: Sequence[Id],
        image_paths: Sequence[str],
        captions: Sequence[Sequence[str]],
        root: str | os.PathLike[str] = "",
        skipped: Mapping[str, int] | None = None,
        notes: Sequence[str] = (),
        joined: int = 0,
        files: ImageFiles | None = None,
        decoded: ChosenPixels | None = None,
    ) -> None:
        if not len(image_ids):
            raise UserError(
                "no captioned image is left", fix="python -m mmdl check, which names what was left out"
            )
        assert len(image_ids) == len(image_paths) == len(captions), "columns of different lengths"
        assert all(captions), "an image without caption"
        self.image_ids = list(image_ids)
        self.image_paths = [os.path.join(root, path) if path else "" for path in image_paths]  # noqa: PTH118
        self.captions = [text for own in captions for text in own]
        """`T` captions, as written."""
        self.offsets: IntArray = np.concatenate([[0], np.cumsum([len(own) for own in captions])]).astype(
            np.int64
        )
        """`(I + 1,)` int64: image `i` has the captions `offsets[i]` to `offsets[i + 1] - 1`."""
        self.root = Path(root)
        self.skipped = dict(skipped or {})
        self.notes = list(notes)
        self.joined = joined
        self.files: ImageFiles = ListedFiles(self.image_paths) if files is None else files
        """`I` encoded images."""
        self.decoded = decoded

    def __len__(self) -> int:
        """Number of images, `I`."""
        return len(self.image_ids)

    @cached_property
    def image_of(self) -> IntArray:
        """`(T,)` int64: the image of each caption."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of ids and captions, in hexadecimal; moved images keep theirs."""
        digest = hashlib.sha256()
        update_digest(digest, id_array(self.image_ids))
        for text in self.captions:
            digest.update(f"{len(text)}:{text}".encode())
        digest.update(self.offsets.tobytes())
        return digest.hexdigest()

    def select(self, rows: IntArray) -> CaptionIndex:
        """The index of some images with all their captions, in the order of `rows`.

        Args:
            rows: `(n,)` distinct rows of images.
        """
        chosen = [int(row) for row in rows]
        bounds = [(int(self.offsets[row]), int(self.offsets[row + 1])) for row in chosen]
        files, plain = self.files, np.asarray(rows, dtype=np.int64)
        return CaptionIndex(
            [self.image_ids[row] for row in chosen],
            [self.image_paths[row] for row in chosen],
            [self.captions[first:last] for first, last in bounds],
            skipped=self.skipped,
            notes=self.notes,
            joined=self.joined,
            files=None if isinstance(files, ListedFiles) else files.select(plain),
            decoded=None if self.decoded is None else self.decoded.select(plain),
        )

    def limited(self, most: int | None) -> CaptionIndex:
        """The first images.

        Args:
            most: How many; None: all.
        """
        if most is None or most >= len(self):
            return self
        return self.select(np.arange(most, dtype=np.int64))

    def hold_out(self, count: int, seed: int) -> dict[str, CaptionIndex]:
        """`train` and `val`: images held out of these, in their order; what was left out stays with `train`.

        Args:
            count: How many images are held out.
            seed: Which.

        Raises:
            UserError: There are not enough images.
        """
        if not 0 < count < len(self):
            raise UserError(
                f"{len(self):,} captioned images are too few to hold {count:,} out for validation",
                valid="at least one image to hold out and one to train on",
            )
        order = np.random.Generator(np.random.PCG64(seed)).permutation(len(self))
        parts = {"val": self.select(np.sort(order[:count])), "train": self.select(np.sort(order[count:]))}
        parts["val"].skipped, parts["val"].joined = {}, 0  # counted once, with train
        return parts
