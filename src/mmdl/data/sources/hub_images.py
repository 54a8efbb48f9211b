"""Images of a downloaded hub data set: the encoded bytes in its Arrow files."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmdl.data.image_files import IntArray
from mmdl.data.transforms.image import Source


def encoded_image(value: Any, name: str) -> Source:
    """What `load_image` takes, of an image as `datasets.Image(decode=False)` gives it.

    Args:
        value: `{"bytes": ..., "path": ...}`, or None.
        name: For the message, if it can't be decoded.
    """
    content, path = (value or {}).get("bytes"), (value or {}).get("path")
    if content is None and path:
        return str(path)
    file = io.BytesIO(content or b"")
    file.name = name
    return file


class HubImages:
    """The image column of a `datasets.Dataset`, row by row.

    Args:
        dataset: The data set.
        column: Its column of images.
        name: Of the split, for messages.
        rows: `(N,)` int64, which rows of the data set; None: all.
    """

    def __init__(self, dataset: Any, column: str, name: str, rows: IntArray | None = None) -> None:
        import datasets

        self._dataset = dataset
        self._images = dataset.select_columns([column]).cast_column(column, datasets.Image(decode=False))
        self._column = column
        self._name = name
        self.rows = np.arange(len(dataset), dtype=np.int64) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int, /) -> Source:
        place = int(self.rows[row])
        return encoded_image(self._images[place][self._column], f"{self._name}/{place}")

    def select(self, rows: IntArray) -> HubImages:
        """Only these rows, in this order."""
        return HubImages(self._dataset, self._column, self._name, self.rows[rows])

    def identity(self) -> list[Any]:
        """What `datasets` itself knows the content by, and the rows."""
        return [self._dataset._fingerprint, hashlib.sha256(self.rows.tobytes()).hexdigest()]

    def digest(self) -> str:
        """SHA-256 of the sizes and paths, and of the rows."""
        digest = hashlib.sha256(self.rows.tobytes())
        for chunk in self._images.data.column(self._column).chunks:
            lengths = pc.fill_null(pc.binary_length(pc.struct_field(chunk, "bytes")).cast(pa.int64()), -1)
            digest.update(lengths.to_numpy(zero_copy_only=False).tobytes())
            paths = pc.fill_null(pc.struct_field(chunk, "path").cast(pa.string()), "")
            digest.update("\0".join(paths.to_pylist()).encode())
        return digest.hexdigest()
