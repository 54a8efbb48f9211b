"""Files of a published data set: taken where they lie, else fetched from the first mirror that has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from mmdl.data.download import download
from mmdl.errors import UserError

QUICK_ATTEMPTS = 2
"""Attempts at a mirror that is not the last one."""

OFFLINE = "offline: data=digits, or data=imagefolder data.root=FOLDER, or put {names} into {folder}"
"""What works without a network."""


@dataclass(frozen=True)
class OfficialFile:
    """A file as its publisher offers it.

    Attributes:
        name: Its file name, the last part of its address.
        md5: Its MD5; none of these sets has another published checksum.
    """

    name: str
    md5: str


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """One process at a time fetches into a folder, which is made; the others wait.

    Args:
        folder: Where files go.

    Raises:
        UserError: the folder can't be written.
    """
    lock = FileLock(folder / ".fetch.lock")  # may be taken again by the process that holds it
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise UserError(
            f"can't write into {folder}: {error.strerror or error}",
            valid="a folder that holds the files, or one that can be written",
            fix="data.root=FOLDER",
        ) from None
    try:
        yield
    finally:
        lock.release()


def fetch(
    wanted: Sequence[OfficialFile],
    folder: Path,
    mirrors: Sequence[str],
    *,
    into: Path | None = None,
    progress: bool = True,
) -> list[Path]:
    """Download what is not there yet.

    Args:
        wanted: The files.
        folder: Where a user may put them.
        mirrors: Addresses of the folders that hold them, tried in turn.
        into: Where they are downloaded to, if elsewhere.
        progress: Show a bar.

    Returns:
        Their paths.

    Raises:
        UserError: no mirror gave a file; it says what each answered and what works offline.
    """
    offline = OFFLINE.format(names=", ".join(file.name for file in wanted), folder=folder)
    with exclusive(into or folder):
        return [_fetch_one(file, into or folder, mirrors, offline, progress) for file in wanted]


def _fetch_one(
    file: OfficialFile, folder: Path, mirrors: Sequence[str], offline: str, progress: bool
) -> Path:
    refused: list[str] = []
    for number, mirror in enumerate(mirrors, start=1):
        url = f"{mirror.rstrip('/')}/{file.name}"
        try:
            return download(
                url,
                folder / file.name,
                md5=file.md5,
                attempts=6 if number == len(mirrors) else QUICK_ATTEMPTS,
                progress=progress,
            )
        except UserError as error:
            refused.append(error.given)
    raise UserError(
        "; ".join(refused), valid=offline, fix="run it again when the network is back: it continues"
    )
