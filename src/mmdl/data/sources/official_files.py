"""Files of a published data set: taken where they lie, else fetched from the first mirror that has them."""

from __future__ import annotations

from collections.abc import Sequence
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


def fetch(
    wanted: Sequence[OfficialFile], folder: Path, mirrors: Sequence[str], *, progress: bool = True
) -> list[Path]:
    """Download what is not in the folder yet; several processes may ask at once.

    Args:
        wanted: The files.
        folder: Where they go; made if need be.
        mirrors: Addresses of the folders that hold them, tried in turn.
        progress: Show a bar.

    Returns:
        Their paths.

    Raises:
        UserError: no mirror gave a file; it says what each answered and what works offline.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".download.lock"):
            return [_fetch_one(file, folder, mirrors, _offline(wanted, folder), progress) for file in wanted]
    except OSError as error:
        raise UserError(
            f"can't write into {folder}: {error.strerror or error}",
            valid=_offline(wanted, folder),
            fix="data.root=FOLDER that can be written",
        ) from None


def _offline(wanted: Sequence[OfficialFile], folder: Path) -> str:
    return OFFLINE.format(names=", ".join(file.name for file in wanted), folder=folder)


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
