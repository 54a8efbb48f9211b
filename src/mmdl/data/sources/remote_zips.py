"""Official zip files: taken where the user has put them, else downloaded, verified and unpacked one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdl.data.archive import extract_zip
from mmdl.data.checksum import forget
from mmdl.data.disk import require_free
from mmdl.data.download import download


@dataclass(frozen=True)
class RemoteZip:
    """One zip file.

    Attributes:
        name: Its file name, the last part of its address.
        kind: What it holds.
        provides: The file or folder that it unpacks to, which the others of the archive lie beside.
        sha256: Its SHA-256.
        size: Its bytes; None where no source names them.
        unpacked: Bytes of its content, about.
        files: Number of files in it; None where more than one release exists.
    """

    name: str
    kind: str
    provides: str
    sha256: str
    size: int | None
    unpacked: int
    files: int | None = None


def fetch_zips(
    root: str | os.PathLike[str],
    todo: Sequence[RemoteZip],
    *,
    urls: Mapping[str, str],
    folders: Mapping[str, str],
    what: str,
    keep_zips: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Bring the content of some archives below `root`.

    Can be stopped at any time; the next call continues. A zip file that the user has put into `root`, `root/zips` or
    `root/downloads` is verified and unpacked instead of being downloaded.

    Args:
        root: Folder of the data; made if need be.
        todo: The archives.
        urls: Name of an archive -> its address.
        folders: Name of an archive -> folder below `root` that it is unpacked into.
        what: Name of the data, for messages.
        keep_zips: Keep downloaded archives after they are unpacked.
        say: Takes one line for each step.

    Raises:
        UserError: Not enough disk, no network, or an archive is not the official one.
    """
    home = Path(root)
    require_free(home, _peak(todo, home, folders, keep_zips), what)
    hint = f"offline: put {', '.join(file.name for file in todo)} or their content into {home}"
    for step, file in enumerate(todo, start=1):
        archive = _own_zip(home, file)
        size = f"{file.size / 1e6:,.0f} MB" if file.size else "size unknown"
        say(f"[{step}/{len(todo)}] {file.name} ({size}){'' if archive is None else f' from {archive}'}")
        local = archive or home / "downloads" / file.name
        download(urls[file.name], local, sha256=file.sha256, size=file.size, offline_hint=hint)
        extract_zip(local, home / folders[file.name], expect_files=file.files)
        if archive is None and not keep_zips:
            forget(local)
    downloads = home / "downloads"
    if downloads.is_dir() and not any(downloads.iterdir()):
        downloads.rmdir()


def _own_zip(home: Path, file: RemoteZip) -> Path | None:
    """An archive that the user has brought."""
    places = (home / file.name, home / "zips" / file.name)
    return next((place for place in places if place.is_file()), None)


def _peak(todo: Iterable[RemoteZip], home: Path, folders: Mapping[str, str], keep_zips: bool) -> int:
    """Most bytes in use at once, beyond what is there: archives are removed one by one."""
    used = peak = 0
    for file in todo:
        local = home / "downloads" / file.name
        fetched = _bytes([local, local.with_name(f"{file.name}.part")])
        zipped = 0 if _own_zip(home, file) else max(0, (file.size or file.unpacked) - fetched)
        work = home / folders[file.name] / f".{file.name}.partial"
        unpacked = max(0, file.unpacked - _bytes(work.rglob("*")))
        peak = max(peak, used + zipped + unpacked)
        used += unpacked + (zipped if keep_zips else 0)
    return peak


def _bytes(paths: Iterable[Path]) -> int:
    """Total size of those of the files that exist."""
    return sum(path.stat().st_size for path in paths if path.is_file())
