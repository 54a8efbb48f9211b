"""Images of a downloaded hub data set: the encoded bytes in its Arrow files."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmdl.data.cache import cache_key, cached_folder
from mmdl.data.image_files import IntArray
from mmdl.data.transforms.image import Source
from mmdl.progress_bar import ProgressBar


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


def content_key(value: Any) -> str:
    """A hash by which equal images are known: of the bytes, or of the path where the image is a file of its own.

    Args:
        value: As for `encoded_image`.
    """
    content, path = (value or {}).get("bytes"), (value or {}).get("path")
    return hashlib.sha256(content if content is not None else f"path {path}".encode()).hexdigest()[:24]


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

    def keys(self, description: str = "") -> list[str]:
        """`content_key` of each image; kept on disk, since it takes reading all bytes.

        Args:
            description: For the progress bar.
        """

        def build(folder: Path) -> dict[str, Any]:
            rows = ProgressBar(self.rows.tolist(), description, delay=2)
            return {"keys": [content_key(self._images[row][self._column]) for row in rows]}

        _, facts = cached_folder("hub_keys", cache_key({"v": 1, "images": self.identity()}), build)
        return list(facts["keys"])

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
