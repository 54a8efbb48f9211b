"""The folder of an index: embeddings, names of the images, and what made them; whole or absent."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from mmdl.errors import UserError
from mmdl.runs.files import TEMPORARY, sha256, write_json

FORMAT = 1
"""Version of the files; another one is not read."""

FACTS = "index.json"
"""Names the other files with their SHA-256. It is written last: files that it does not name are left-overs."""

PARTS = ("embeddings", "files", "faiss")
"""Beginnings of the names of the other files, which end in a part of their SHA-256."""

KEYS = ("date", "count", "is_whole", "listed", "dim", "dtype", "backend", "left_out")
"""Further keys that the facts must have."""


class Index(NamedTuple):
    """An index as it lies on disk.

    Attributes:
        folder: Where.
        facts: The content of `index.json`.
        embeddings: `(N, D)` float16 or float32, memory-mapped, each row of length 1.
        names: `N` paths relative to the folder of the images, sorted.
        sizes: `(N,)` bytes of each.
        times: `(N,)` time of the last change, in nanoseconds.
    """

    folder: Path
    facts: dict[str, Any]
    embeddings: npt.NDArray[Any]
    names: list[str]
    sizes: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def images(self) -> Path:
        """Folder of the images."""
        return Path(str(self.facts["images"]))

    @property
    def faiss_file(self) -> Path | None:
        """The file of the approximate search, where there is one."""
        return self.folder / self.facts["files"]["faiss"]["name"] if "faiss" in self.facts["files"] else None


def read_facts(folder: Path) -> dict[str, Any]:
    """What `index.json` says, without a look at the other files.

    Args:
        folder: Of an index.

    Raises:
        UserError: if there is none, it is damaged, or of another version.
    """
    path = folder / FACTS
    if not path.is_file():
        what = "is no folder" if not folder.is_dir() else f"holds no index ({FACTS})"
        raise UserError(f"{folder} {what}", valid="a folder that mmdl index wrote", fix="mmdl index --help")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        version, run, images = facts["format"], facts["made_by"]["run"], facts["images"]
        files = {part: (file["name"], file["sha256"]) for part, file in facts["files"].items()}
        missing = sorted({*KEYS} - facts.keys()) if version == FORMAT else []
        if missing:
            raise ValueError(f"{', '.join(missing)} missing")
        beyond = [name for name, _ in files.values() if Path(name).name != name]
        if beyond:
            raise ValueError(f"the file {beyond[0]} is not in the folder")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"the index {folder} is damaged: {FACTS} can't be read ({error})",
            fix=_command("RUN", "FOLDER", folder),
        ) from error
    if version != FORMAT:
        raise UserError(
            f"the index {folder} is of version {version}, and this mmdl reads version {FORMAT}",
            fix=_command(run, images, folder),
        )
    return dict(facts)


def again(folder: Path, facts: dict[str, Any]) -> str:
    """The command that makes an index anew."""
    return _command(facts["made_by"]["run"], facts["images"], folder)


def _command(run: str, images: str, folder: Path) -> str:
    return (
        f"python -m mmdl index run={run} images={shlex.quote(str(images))} output={shlex.quote(str(folder))}"
    )


def unfinished(index: Index) -> str:
    """What an index lacks whose making was interrupted."""
    return f"the index is unfinished: {len(index):,} of {index.facts['listed']:,} images are in it"


def read_index(folder: Path) -> Index:
    """An index, each of its files verified by its SHA-256.

    Args:
        folder: Of the index.

    Raises:
        UserError: as for `read_facts`, and if a file is missing or damaged.
    """
    facts = read_facts(folder)
    for part, file in facts["files"].items():
        path = folder / file["name"]
        try:
            found = sha256(path)
        except OSError as error:
            raise UserError(
                f"the index {folder} is damaged: {path.name} can't be read ({error.strerror})",
                fix=again(folder, facts),
            ) from error
        if found != file["sha256"]:
            raise UserError(
                f"the index {folder} is damaged: the content of {path.name} ({part}) does not match its SHA-256",
                fix=again(folder, facts),
            )
    try:
        embeddings = np.load(folder / facts["files"]["embeddings"]["name"], mmap_mode="r")
        with np.load(folder / facts["files"]["files"]["name"]) as files:
            names = files["names"].tobytes().decode().split("\0")
            sizes, times = files["sizes"], files["times"]
    except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(
            f"the index {folder} is damaged: its files can't be read", fix=again(folder, facts)
        ) from error
    if not embeddings.shape == (facts["count"], facts["dim"]) or not len(names) == len(sizes) == len(
        embeddings
    ):
        raise UserError(
            f"the index {folder} is damaged: its files don't fit together", fix=again(folder, facts)
        )
    return Index(folder, facts, embeddings, names, sizes, times)


def write_names(
    handle: BinaryIO, names: list[str], sizes: npt.NDArray[np.int64], times: npt.NDArray[np.int64]
) -> None:
    """Write the file of the names: they stand one after the other as UTF-8, with a zero byte between two."""
    joined = np.frombuffer("\0".join(names).encode(), np.uint8)
    np.savez(handle, names=joined, sizes=sizes, times=times)


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """The folder, made if need be, for one process at a time; left-overs of an interrupted write are removed.

    Args:
        folder: Of the index.

    Raises:
        UserError: if it can't be made or written, another process writes it, or it holds something else.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if names and FACTS not in names:
            raise UserError(
                f"output={folder} is not empty and holds no index (but {', '.join(sorted(names)[:3])})",
                valid="a new folder, an empty one, or that of an index",
            )
        with FileLock(folder / ".lock", timeout=0):
            _remove_all(folder, f"{TEMPORARY}*")
            try:
                yield
            finally:
                _remove_all(folder, f"{TEMPORARY}*")
    except Timeout:
        raise UserError(f"another mmdl index is at work on {folder}", fix="wait for it") from None
    except OSError as error:
        raise write_error(folder, error) from error


def write_error(folder: Path, error: OSError) -> UserError:
    """The error of an index that can't be written: no space, no permission, no folder."""
    from mmdl.cli.disk import disk_full

    what = "no space is left on the device" if disk_full(error) else f"{error.strerror or error}"
    return UserError(
        f"the index {folder} could not be written: {what}; what was there before is as it was",
        fix="output=FOLDER for another place, or free some space"
        if disk_full(error)
        else "output=FOLDER for another place",
    )


def publish(folder: Path, facts: dict[str, Any], parts: dict[str, Path]) -> dict[str, Any]:
    """Give finished files their names, write `index.json`, and remove what it replaces.

    Args:
        folder: Of the index.
        facts: For `index.json`, without its `files`.
        parts: `embeddings`, `files` and perhaps `faiss` -> temporary file in the folder.

    Returns:
        The facts with `files`.
    """
    files: dict[str, Any] = {}
    for part, temporary in parts.items():
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        digest = sha256(temporary)
        name = f"{part}-{digest[:12]}{temporary.suffix}"
        temporary.replace(folder / name)
        files[part] = {"name": name, "sha256": digest, "bytes": (folder / name).stat().st_size}
    whole = {**facts, "files": files}
    write_json(folder / FACTS, whole)
    kept = {file["name"] for file in files.values()}
    for part in PARTS:
        for path in folder.glob(f"{part}-*"):
            if path.name not in kept:
                path.unlink(missing_ok=True)
    return whole


def _remove_all(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink(missing_ok=True)
