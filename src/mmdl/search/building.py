"""Makes an index of a folder of images, or brings one up to date: what is new is encoded, what is gone is dropped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

import mmdl
from mmdl.data.bad_images import BadSamples, count_by_reason, listed
from mmdl.data.disk import require_free
from mmdl.errors import UserError
from mmdl.runs.files import TEMPORARY
from mmdl.search.folder import COLUMNS, FACTS, FORMAT, Index, only_writer, publish, read_index
from mmdl.search.listing import Listing, list_images

ROWS = 1 << 14
"""Rows that are copied at a time."""


IDENTITY = ("run", "weights", "model", "image_size", "resize")
"""What of `made_by` must be equal for embeddings to be comparable."""

EXACT_BELOW = 1_000_000
"""So many images are compared one by one in about a second; from here on `auto` takes faiss."""


class Settings(NamedTuple):
    """What an index depends on besides the images.

    Attributes:
        made_by: Run, weights and view of the images, as plain values: other ones make a new index.
        dtype: `float32`, `float16`, or `auto`: as it was, else float32.
        backend: `exact`, `faiss`, or `auto`: as it was, else exact below `EXACT_BELOW` images.
        skip_bad: Leave out what can't be used; False stops at it.
    """

    made_by: dict[str, Any]
    dtype: str = "auto"
    backend: str = "auto"
    skip_bad: bool = True

    def resolved(self, old: Index | None, count: int) -> Settings:
        """The same without `auto`.

        Args:
            old: The index that is there.
            count: Images.
        """
        dtype = (
            self.dtype if self.dtype != "auto" else "float32" if old is None else str(old.embeddings.dtype)
        )
        backend = self.backend
        if backend == "auto":
            from mmdl.search.faiss_index import is_installed

            was_faiss = old is not None and old.facts["backend"] == "faiss"
            is_large = count >= EXACT_BELOW
            backend = "faiss" if (was_faiss or is_large) and is_installed() else "exact"
        return self._replace(dtype=dtype, backend=backend)


class Update(NamedTuple):
    """What was done.

    Attributes:
        facts: The content of `index.json`.
        kept: Images that were in the index and are unchanged.
        added: New ones.
        changed: Those with another size or time.
        dropped: Those that are gone.
        bad: What was left out.
        anew: Why the earlier index could not be used; empty where it was, or where there was none.
        seconds: Of encoding.
    """

    facts: dict[str, Any]
    kept: int
    added: int
    changed: int
    dropped: int
    bad: list[BadSamples]
    anew: str
    seconds: float


Encode = Callable[[list[Path]], Iterator[Any]]
"""Yields `Encoded` batches of files."""


def update_index(folder: Path, images: Path, settings: Settings, encode: Encode) -> Update:
    """Make an index, or bring it up to date; the earlier one stays whole until the new one is.

    Args:
        folder: Of the index; made if need be.
        images: Folder of the images.
        settings: What the index depends on.
        encode: Encodes files; called only where there is something new.

    Raises:
        UserError: if there is no image, bad ones are to stop it, or the folder can't be written.
    """
    listing = list_images(images, leave_out=folder)
    if listing.bad and not settings.skip_bad:
        raise _refused(listing.bad)
    with only_writer(folder):
        old, anew = _usable(folder, settings)
        settings = settings.resolved(old, len(listing.names))
        before = {} if old is None else {name: row for row, name in enumerate(old.names)}
        same = [before.get(name, -1) for name in listing.names]
        if old is not None:
            stats = list(zip(old.sizes.tolist(), old.times.tolist(), strict=True))
            for row, found in enumerate(same):
                if found >= 0 and stats[found] != (listing.sizes[row], listing.times[row]):
                    same[row] = -1
        todo = [row for row, found in enumerate(same) if found < 0]
        dropped = len(before.keys() - set(listing.names))
        started = time.perf_counter()
        if old is not None and not todo and not dropped and _same_form(old, settings):
            return Update(old.facts, len(old), 0, 0, 0, listing.bad, "", 0.0)
        new, fresh, bad = _encoded(folder, [images / listing.names[row] for row in todo], settings, encode)
        seconds = time.perf_counter() - started
        for row, place in zip(todo, new, strict=True):
            same[row] = -1 if place < 0 else (0 if old is None else len(old)) + place
        bad = [*listing.bad, *bad]
        if bad and not settings.skip_bad:
            raise _refused(bad)
        facts = _write(folder, images, listing, np.array(same, np.int64), old, fresh, bad, settings)
        encoded = [listing.names[row] for row, place in zip(todo, new, strict=True) if place >= 0]
        changed = sum(name in before for name in encoded)
        added = len(encoded) - changed
        return Update(facts, len(listing.names) - len(todo), added, changed, dropped, bad, anew, seconds)


def _refused(bad: list[BadSamples]) -> UserError:
    errors = listed(bad)
    errors.errors[
        -1
    ].fix = "mend or remove these, or on_bad_sample=skip, which leaves them out and counts them"
    return errors


def _usable(folder: Path, settings: Settings) -> tuple[Index | None, str]:
    """The index that is there, if it was made by the same; else why not."""
    if not (folder / FACTS).is_file():
        return None, ""
    try:
        old = read_index(folder)
    except UserError as error:
        return None, error.given
    made_by = old.facts["made_by"]
    differing = [key for key in IDENTITY if made_by.get(key) != settings.made_by[key]]
    if differing:
        return None, f"the earlier index has another {', '.join(differing)}"
    if old.embeddings.dtype == np.float16 and settings.dtype == "float32":
        return None, "the earlier index is in float16"
    return old, ""


def _same_form(old: Index, settings: Settings) -> bool:
    return old.facts["backend"] == settings.backend and old.embeddings.dtype == settings.dtype


def _encoded(
    folder: Path, paths: list[Path], settings: Settings, encode: Encode
) -> tuple[list[int], npt.NDArray[Any], list[BadSamples]]:
    """Embeddings of files, on disk while they are made.

    Returns:
        For each file its row, or -1 where it is bad; the rows; and what is bad.
    """
    places, count, dim = [-1] * len(paths), 0, 0
    bad: list[BadSamples] = []
    scratch = folder / f"{TEMPORARY}new.raw"
    with scratch.open("wb") as handle:
        for batch in encode(paths) if paths else ():
            if not dim and batch.rows:
                dim = batch.embeddings.shape[1]
                require_free(folder, 2 * len(paths) * dim * np.dtype(settings.dtype).itemsize, "the index")
            for row in batch.rows:
                places[row], count = count, count + 1
            _append(handle, batch.embeddings, settings.dtype)
            bad += batch.bad
    if not count:
        return places, np.zeros((0, 0), settings.dtype), bad
    return places, np.memmap(scratch, settings.dtype, "r", shape=(count, dim)), bad


def _append(handle: BinaryIO, embeddings: npt.NDArray[Any], dtype: str) -> None:
    """Plain writes: one into a memory map kills the process where the disk is full."""
    handle.write(np.ascontiguousarray(embeddings, dtype).tobytes())


def _write(
    folder: Path,
    images: Path,
    listing: Listing,
    source: npt.NDArray[np.int64],
    old: Index | None,
    fresh: npt.NDArray[Any],
    bad: list[BadSamples],
    settings: Settings,
) -> dict[str, Any]:
    """Write all files. `source` has for each listed image its row in the old index followed by the new rows, or -1."""
    good = np.flatnonzero(source >= 0)
    if not len(good):
        raise UserError(
            f"none of the {len(source):,} images in {images} can be used, such as: {bad[0].message}"
        )
    embeddings = folder / f"{TEMPORARY}embeddings.npy"
    dim = fresh.shape[1] if old is None else old.embeddings.shape[1]
    shape = (len(good), dim)
    with embeddings.open("wb") as handle:
        header = {"descr": np.dtype(settings.dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(handle, header)
        for start in range(0, len(good), ROWS):
            _append(handle, _gathered(source[good[start : start + ROWS]], old, fresh), settings.dtype)
    parts = {"embeddings": embeddings, "files": _names_file(folder, listing, good)}
    facts = {
        "format": FORMAT,
        "mmdl": mmdl.__version__,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "images": str(images.absolute()),
        "count": len(good),
        "dim": dim,
        "dtype": settings.dtype,
        "backend": settings.backend,
        "made_by": settings.made_by,
        "left_out": count_by_reason(bad),
    }
    if settings.backend == "faiss":
        from mmdl.search.faiss_index import build

        parts["faiss"] = folder / f"{TEMPORARY}faiss.index"
        facts["faiss"] = build(np.load(embeddings, mmap_mode="r"), parts["faiss"])
    try:
        return publish(folder, facts, parts)
    finally:
        (folder / f"{TEMPORARY}new.raw").unlink(missing_ok=True)


def _gathered(rows: npt.NDArray[np.int64], old: Index | None, fresh: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`(len(rows), D)`: rows of the old index, and after them those of `fresh`."""
    count = 0 if old is None else len(old)
    is_new = rows >= count
    found = np.empty((len(rows), (fresh if old is None else old.embeddings).shape[1]), fresh.dtype)
    if is_new.any():
        found[is_new] = fresh[rows[is_new] - count]
    if old is not None:
        found[~is_new] = old.embeddings[rows[~is_new]]
    return found


def _names_file(folder: Path, listing: Listing, good: npt.NDArray[np.int64]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{TEMPORARY}files.parquet"
    columns = (listing.names, listing.sizes, listing.times)
    types = (pa.string(), pa.int64(), pa.int64())
    arrays = [pa.array(c, t).take(pa.array(good)) for c, t in zip(columns, types, strict=True)]
    pq.write_table(pa.table(dict(zip(COLUMNS, arrays, strict=True))), path)
    return path
