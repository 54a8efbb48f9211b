"""Memory-mapped caches on disk, each keyed by a hash of what made it: decoded pixels and features of frozen towers.

A cache folder is built under a temporary name and renamed when it is complete, so that an interrupted build leaves
nothing that could be mistaken for data. Builds of one key are serialised by a lock: several ranks may ask at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from mmdl.data.disk import require_free
from mmdl.data.paths import data_home
from mmdl.data.transforms.image import BadImage, Source, load_image
from mmdl.progress_bar import ProgressBar

Resize = Literal["squash", "crop", "pad"]

_DONE = "done.json"


def cache_key(facts: Mapping[str, Any]) -> str:
    """Hash of whatever a cache depends on.

    >>> cache_key({"a": 1})[:8]
    'f9d86028'
    """
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def cached_folder(
    kind: str, key: str, build: Callable[[Path], dict[str, Any]]
) -> tuple[Path, dict[str, Any]]:
    """The complete cache folder of a key, built on first use.

    Args:
        kind: Sub-folder, such as `pixels`.
        key: Hash of everything that the content depends on.
        build: Fills the folder that it is given and returns facts as plain values.

    Returns:
        The folder and the facts of its build.
    """
    folder = data_home() / "cache" / kind / key[:32]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        done = folder / _DONE
        if done.is_file():
            return folder, json.loads(done.read_text())
        shutil.rmtree(folder, ignore_errors=True)
        for stale in folder.parent.glob(f".{folder.name}.*"):
            shutil.rmtree(stale, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            facts = build(work)
            (work / _DONE).write_text(json.dumps(facts))
            work.rename(folder)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    return folder, facts


class EncodedImages(Protocol):
    """`N` image files: a list of paths, or whatever gives a path or a binary file for a row."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> Source: ...


class PixelCache:
    """Decoded images of one split as `(N, 3, H, W)` uint8, memory-mapped.

    Args:
        paths: Image files.
        size: Height and width in pixels.
        resize: `squash`, `crop` or `pad`, as in `mmdl.data.transforms.image.load_image`.
        description: For the progress bar.
        identity: What the pixels depend on, as plain values; None takes path, size and time of each file.

    Attributes:
        bad: Row -> (reason, message) of images that could not be decoded; their pixels are zero.
    """

    def __init__(
        self,
        paths: EncodedImages,
        size: int,
        resize: Resize,
        description: str = "",
        identity: Sequence[Any] | None = None,
    ) -> None:
        identity = _stats(paths) if identity is None else identity
        key = cache_key({"v": 1, "files": identity, "size": size, "resize": resize})
        self.key = key

        def build(folder: Path) -> dict[str, Any]:
            return {"bad": _decode_all(folder / "pixels.npy", paths, size, resize, description)}

        folder, facts = cached_folder("pixels", key, build)
        self.bad: dict[int, tuple[str, str]] = {
            int(row): (why[0], why[1]) for row, why in facts["bad"].items()
        }
        self._pixels = np.load(folder / "pixels.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
        """`(len(rows), 3, H, W)` uint8."""
        return torch.from_numpy(self._pixels[rows])


def undecodable(
    paths: EncodedImages, size: int, resize: Resize, description: str, identity: Sequence[Any]
) -> dict[int, tuple[str, str]]:
    """Row -> (reason, message) of images that can't be decoded; each is decoded once, and nothing but this is kept.

    Args:
        paths: As for `PixelCache`.
        size: As for `PixelCache`.
        resize: As for `PixelCache`.
        description: As for `PixelCache`.
        identity: As for `PixelCache`.
    """
    key = cache_key({"v": 1, "checked": identity})

    def build(_: Path) -> dict[str, Any]:
        return {"bad": _decode_all(None, paths, size, resize, description)}

    _, facts = cached_folder("checked", key, build)
    return {int(row): (why[0], why[1]) for row, why in facts["bad"].items()}


class PixelFiles:
    """The same without a cache: decodes whenever asked.

    Args:
        paths: Image files.
        size: Height and width in pixels.
        resize: As for `PixelCache`.
        identity: As for `PixelCache`.
    """

    def __init__(
        self, paths: EncodedImages, size: int, resize: Resize, identity: Sequence[Any] | None = None
    ) -> None:
        self.paths = paths
        self.identity = identity
        self.size = size
        self.resize = resize
        self.bad: dict[int, tuple[str, str]] = {}

    @cached_property
    def key(self) -> str:
        """Hash of what the pixels depend on; asks the file system for every file."""
        files = _stats(self.paths) if self.identity is None else self.identity
        return cache_key({"v": 1, "files": files, "size": self.size, "resize": self.resize})

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
        """`(len(rows), 3, H, W)` uint8.

        Raises:
            BadImage: if a file can't be decoded.
        """
        return torch.stack([load_image(self.paths[int(row)], self.size, self.resize) for row in rows])


class FeatureCache:
    """Outputs of a frozen tower for every image or distinct question of a split, memory-mapped.

    Args:
        kind: `image_features` or `question_features`.
        key: Hash of weights, preprocessing and inputs.
        count: Number of rows.
        batches: Yields `(rows, features)`; features map a name to a `(len(rows), ...)` float tensor on the CPU.
            Called only where the cache does not exist yet.
        dtype: `float32`, or `float16` for half the disk and half the precision.
        description: For the progress bar.
    """

    def __init__(
        self,
        kind: str,
        key: str,
        count: int,
        batches: Callable[[], Iterator[tuple[np.ndarray[Any, np.dtype[np.int64]], dict[str, Tensor]]]],
        dtype: str = "float32",
        description: str = "",
    ) -> None:
        def build(folder: Path) -> dict[str, Any]:
            arrays: dict[str, Any] = {}
            with ProgressBar(total=count, desc=description, unit="row") as bar:
                for rows, features in batches():
                    for name, value in features.items():
                        if name not in arrays:
                            shape = (count, *value.shape[1:])
                            require_free(
                                folder, int(np.prod(shape)) * np.dtype(dtype).itemsize, f"the {kind} cache"
                            )
                            arrays[name] = np.lib.format.open_memmap(
                                folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape
                            )
                        arrays[name][rows] = value.float().numpy()
                    bar.update(len(rows))
            for array in arrays.values():
                array.flush()
            return {"names": sorted(arrays)}

        folder, facts = cached_folder(kind, cache_key({"key": key, "dtype": dtype}), build)
        self._arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in facts["names"]}

    def __getitem__(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Tensor]:
        """Name -> `(len(rows), ...)` float32."""
        return {name: torch.from_numpy(array[rows]).float() for name, array in self._arrays.items()}


def file_stat(path: str | os.PathLike[str]) -> tuple[str, int, int]:
    """Path, bytes and time of change of a file; -1 and -1 where there is none."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - one call a file, for hundreds of thousands of files
    except OSError:
        return str(path), -1, -1
    return str(path), stat.st_size, stat.st_mtime_ns


def _stats(paths: EncodedImages) -> list[tuple[str, int, int]]:
    found = []
    for row in range(len(paths)):
        path = paths[row]
        assert isinstance(path, str | os.PathLike), "binary files need an identity"
        found.append(file_stat(path))
    return found


def _decode_all(
    target: Path | None, paths: EncodedImages, size: int, resize: Resize, description: str
) -> dict[int, tuple[str, str]]:
    pixels: Any = None
    if target is not None:
        require_free(target.parent, len(paths) * 3 * size * size, "the pixel cache")
        shape = (len(paths), 3, size, size)
        pixels = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    bad: dict[int, tuple[str, str]] = {}

    def decode(row: int) -> None:
        try:
            image = load_image(paths[row], size, resize).numpy()
            if pixels is not None:
                pixels[row] = image
        except BadImage as error:
            bad[row] = (error.reason, error.given)

    # Pillow decodes and resizes outside the interpreter lock.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        done = pool.map(decode, range(len(paths)))
        for _ in ProgressBar(done, total=len(paths), desc=description or "decoding", unit="image"):
            pass
    if pixels is not None:
        pixels.flush()
    return dict(sorted(bad.items()))
