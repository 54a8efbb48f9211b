"""The index of a split of captioned images: validated columns, the captions of an image next to each other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from mmdl.data.columns import id_array, update_digest
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
    ) -> None:
        if not len(image_ids):
            raise UserError(
                "no captioned image is left", fix="python -m mmdl check, which names what was left out"
            )
        assert len(image_ids) == len(image_paths) == len(captions), "columns of different lengths"
        assert all(captions), "an image without caption"
        self.image_ids = list(image_ids)
        self.image_paths = [os.path.join(root, path) for path in image_paths]  # noqa: PTH118 - half a million paths
        self.captions = [text for own in captions for text in own]
        """`T` captions, as written."""
        self.offsets: IntArray = np.concatenate([[0], np.cumsum([len(own) for own in captions])]).astype(
            np.int64
        )
        """`(I + 1,)` int64: image `i` has the captions `offsets[i]` to `offsets[i + 1] - 1`."""
        self.root = Path(root)
        self.skipped = dict(skipped or {})
        self.notes = list(notes)

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
        return CaptionIndex(
            [self.image_ids[row] for row in chosen],
            [self.image_paths[row] for row in chosen],
            [self.captions[first:last] for first, last in bounds],
            skipped=self.skipped,
            notes=self.notes,
        )
