"""The images of a split for people: by key, small, in their own proportions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from mmdl.data.transforms.image import Source
from mmdl.errors import UserError

Array = npt.NDArray[np.uint8]


class Files(Protocol):
    """Encoded images by row."""

    def __getitem__(self, row: int, /) -> Source:
        """A path, or a binary file."""


class Decoded(Protocol):
    """Decoded images by row."""

    def __getitem__(self, rows: npt.NDArray[np.int64], /) -> Any:
        """`(len(rows), C, H, W)` uint8 tensor."""


class ItemPictures(NamedTuple):
    """The `I` images of a split.

    Attributes:
        keys: Of each image, as the records of predictions name it; unique.
        files: The encoded images, where there are any.
        pixels: The images as the model sees them, for where there is no file, or no more.
    """

    keys: Sequence[str]
    files: Files | None
    pixels: Decoded | None

    def small(self, row: int, side: int) -> Array | None:
        """One image, brought to at most `side` pixels on its longer side; smaller ones stay as they are.

        Args:
            row: Which.
            side: Pixels.

        Returns:
            `(H, W, 3)` or `(H, W)` uint8; None where it can't be had.
        """
        found = self._from_file(row, side)
        if found is None and self.pixels is not None:
            try:
                decoded = self.pixels[np.array([row], dtype=np.int64)][0]  # (C, H, W)
                found = _reduced(decoded.cpu().numpy().astype(np.uint8), side)
            except (UserError, OSError, ValueError):
                return None
        if found is not None and found.ndim == 3 and (found == found[..., :1]).all():
            return found[..., 0]  # grey takes a third
        return found

    def _from_file(self, row: int, side: int) -> Array | None:
        from mmdl.search.thumbnails import thumbnail

        if self.files is None:
            return None
        try:
            return thumbnail(self.files[row], side)
        except (UserError, OSError, ValueError):
            return None


def _reduced(image: npt.NDArray[np.uint8], side: int) -> Array:
    """`(C, H, W)` to `(H, W, 3)` of at most `side` pixels."""
    from PIL import Image

    height, width = image.shape[1:]
    picture = Image.fromarray(
        np.ascontiguousarray(np.broadcast_to(image, (3, height, width)).transpose(1, 2, 0))
    )
    scale = min(1.0, side / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(picture)
