"""Writes an index: encodes what is new, and puts it together with what was there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

import mmdl
from mmdl.data.bad_images import count_by_reason
from mmdl.data.disk import require_free
from mmdl.errors import UserError
from mmdl.runs.files import TEMPORARY
from mmdl.search.folder import FORMAT, Index, publish, write_names
from mmdl.search.listing import Listing
from mmdl.search.settings import Settings

log = logging.getLogger("mmdl")

ROWS = 1 << 14
"""Rows that are copied at a time."""

SAVE_EVERY = 300.0
"""Seconds of encoding after which an unfinished index is saved."""

Encode = Callable[[list[Path]], Iterator[Any]]
"""Yields `Encoded` batches of files."""


class IndexWriter:
    """One index while it is made.

    Args:
        folder: Of the index.
        images: Folder of the images.
        listing: What lies there.
        old: The index that was there.
        source: `(N,)` int64: for each listed image its row in the old index, or -1.
        settings: Without `auto`.

    Attributes:
        source: The same, with rows behind those of the old index for the images that were encoded.
        bad: What can't be used.
        seconds: That the encoding took, without the loading of the model.
    """

    def __init__(
        self,
        folder: Path,
        images: Path,
        listing: Listing,
        old: Index | None,
        source: npt.NDArray[np.int64],
        settings: Settings,
    ) -> None:
        self.folder, self.images, self.listing = folder, images, listing
        self.old, self.settings = old, settings
        self.source = source
        self.bad = list(listing.bad)
        self.dim = 0 if old is None else int(old.embeddings.shape[1])
        self.count = 0
        self.seconds = 0.0
        self.scratch = folder / f"{TEMPORARY}new.raw"

    def encode(self, encode: Encode) -> None:
        """Encode the images that have no row yet; embeddings lie on disk while they are made.

        Args:
            encode: Encodes files.
        """
        todo = np.flatnonzero(self.source < 0)
        if not len(todo):
            return
        batches = encode([self.images / self.listing.names[row] for row in todo])
        started = saved = time.monotonic()
        with self.scratch.open("wb") as handle:
            try:
                for batch in batches:
                    self._take(batch, todo, handle)
                    if time.monotonic() - saved > SAVE_EVERY and self.count:
                        handle.flush()
                        self.save(is_whole=False)
                        saved = time.monotonic()
            except KeyboardInterrupt:
                handle.flush()
                if self.count:
                    self.save(is_whole=False)
                    log.warning("%s images are kept; the same command goes on from them", f"{self.count:,}")
                raise

        self.seconds = time.monotonic() - started

    def _take(self, batch: Any, todo: npt.NDArray[np.int64], handle: BinaryIO) -> None:
        size = np.dtype(self.settings.dtype).itemsize
        if not self.count and batch.rows:
            self.dim = batch.embeddings.shape[1]
            require_free(self.folder, (2 * len(todo) + len(self.source)) * self.dim * size, "the index")
        start = self.count + (0 if self.old is None else len(self.old))
        _append(handle, batch.embeddings, self.settings.dtype)
        self.count += len(batch.rows)  # first: Ctrl-C may come between any two lines
        self.source[todo[batch.rows]] = np.arange(start, start + len(batch.rows))
        self.bad += batch.bad

    def save(self, is_whole: bool) -> dict[str, Any]:
        """Write all files.

        Args:
            is_whole: Whether all images are in; an unfinished index is searched exactly.

        Returns:
            The content of `index.json`.

        Raises:
            UserError: if no image is good.
        """
        good = np.flatnonzero(self.source >= 0)
        if not len(good):
            raise UserError(
                f"none of the {len(self.source):,} images in {self.images} can be used, such as: {self.bad[0].message}"
            )
        backend = self.settings.backend if is_whole else "exact"
        parts = {"embeddings": self._embeddings_file(good), "files": self._names_file(good)}
        facts = {
            "format": FORMAT,
            "mmdl": mmdl.__version__,
            "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "images": str(self.images.absolute()),
            "count": len(good),
            "is_whole": is_whole,
            "listed": len(self.source),
            "dim": self.dim,
            "dtype": self.settings.dtype,
            "backend": backend,
            "made_by": self.settings.made_by,
            "left_out": count_by_reason(self.bad),
        }
        if backend == "faiss":
            from mmdl.search.faiss_index import build

            parts["faiss"] = self.folder / f"{TEMPORARY}faiss.index"
            facts["faiss"] = build(np.load(parts["embeddings"], mmap_mode="r"), parts["faiss"])
        return publish(self.folder, facts, parts)

    def _embeddings_file(self, good: npt.NDArray[np.int64]) -> Path:
        path = self.folder / f"{TEMPORARY}embeddings.npy"
        dtype = self.settings.dtype
        fresh = np.zeros((0, self.dim), dtype)
        if self.count:
            fresh = np.memmap(self.scratch, dtype, "r", shape=(self.count, self.dim))
        with path.open("wb") as handle:
            header = {
                "descr": np.dtype(dtype).str,
                "fortran_order": False,
                "shape": (len(good), self.dim),
            }
            np.lib.format.write_array_header_1_0(handle, header)
            for start in range(0, len(good), ROWS):
                _append(handle, _gathered(self.source[good[start : start + ROWS]], self.old, fresh), dtype)
        return path

    def _names_file(self, good: npt.NDArray[np.int64]) -> Path:
        path = self.folder / f"{TEMPORARY}files.npz"
        sizes, times = (np.array(column, np.int64)[good] for column in self.listing[1:3])
        with path.open("wb") as handle:
            write_names(handle, [self.listing.names[row] for row in good], sizes, times)
        return path


def _append(handle: BinaryIO, embeddings: npt.NDArray[Any], dtype: str) -> None:
    """Plain writes: one into a memory map kills the process where the disk is full."""
    handle.write(np.ascontiguousarray(embeddings, dtype).tobytes())


def _gathered(rows: npt.NDArray[np.int64], old: Index | None, fresh: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`(len(rows), D)`: rows of the old index, and after them those of `fresh`."""
    count = 0 if old is None else len(old)
    is_new = rows >= count
    found = np.empty((len(rows), fresh.shape[1]), fresh.dtype)
    found[is_new] = fresh[rows[is_new] - count]
    if old is not None:
        found[~is_new] = old.embeddings[rows[~is_new]]
    return found
