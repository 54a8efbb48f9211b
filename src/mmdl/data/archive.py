"""Unpacks zip files from outside: nothing leaves the folder, fills the disk or is half there."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from mmdl.data.disk import require_free
from mmdl.errors import UserError
from mmdl.progress_bar import ProgressBar

_BLOCK = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:")


def extract_zip(
    archive: str | os.PathLike[str],
    into: str | os.PathLike[str],
    *,
    max_bytes: int = 100_000_000_000,
    max_files: int = 1_000_000,
    max_ratio: float = 200.0,
    expect_files: int | None = None,
    progress: bool = True,
) -> list[str]:
    """Unpack a zip file; whatever is there already with the right size is not unpacked again.

    All names are checked before anything is written. Files are unpacked below `into/.<archive>.partial` and
    moved to their place after the last one, so an interrupted run leaves nothing that looks complete, and the
    next one continues. Every file's CRC is verified.

    Args:
        archive: The zip file.
        into: Folder to unpack into; made if need be.
        max_bytes: Largest total size of the files.
        max_files: Largest number of files.
        max_ratio: Largest ratio of unpacked to packed bytes of the whole archive.
        expect_files: Number of files that the archive must hold.
        progress: Show a bar.

    Returns:
        Names of the files, as in the archive.

    Raises:
        UserError: The archive is damaged, dangerous or too large; the message names the member.
    """
    source, target = Path(archive), Path(into)
    try:
        with zipfile.ZipFile(source) as opened:
            members = _checked_members(source, opened.infolist(), max_bytes, max_files, max_ratio)
            names = [member.filename for member in members]
            if expect_files is not None and len(members) != expect_files:
                raise UserError(f"{source} holds {len(members):,} files, expected {expect_files:,}")
            absent = [member for member in members if not _is_there(target, member)]
            work = target / f".{source.name}.partial"
            if absent:
                _extract(opened, absent, source, work, progress)
                _publish(work, target, absent)
            shutil.rmtree(work, ignore_errors=True)
    except FileNotFoundError:
        raise UserError(f"file not found: {source}") from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"the disk is full: {target}", fix="free some space and run it again: it continues"
        ) from None
    except zipfile.BadZipFile as error:
        raise UserError(
            f"{source} is no usable zip file: {error}", fix=f"rm {source}, and fetch it again"
        ) from None
    return names


def _checked_members(
    source: Path, members: Sequence[zipfile.ZipInfo], max_bytes: int, max_files: int, max_ratio: float
) -> list[zipfile.ZipInfo]:
    """The files of an archive, all of them harmless.

    Raises:
        UserError: One is not, or there are too many or too large ones.
    """
    files: list[zipfile.ZipInfo] = []
    seen: set[PurePosixPath] = set()
    for member in members:
        problem = _problem(member)
        path = PurePosixPath(member.filename)
        if not problem and path in seen:
            problem = "occurs twice"
        if problem:
            raise UserError(f"{source}: refused, since member {member.orig_filename!r} {problem}")
        seen.add(path)
        if not member.is_dir():
            files.append(member)
    names = {PurePosixPath(member.filename) for member in files}
    for folder in {PurePosixPath(member.filename).parent for member in members}:
        clash = names & {folder, *folder.parents}
        if clash:
            raise UserError(f"{source}: refused, since {str(clash.pop())!r} is a file and a folder")
    size = sum(member.file_size for member in files)
    packed = sum(member.compress_size for member in files)
    if len(files) > max_files:
        raise UserError(
            f"{source}: refused, since it holds {len(files):,} files", valid=f"at most {max_files:,}"
        )
    if size > max_bytes:
        raise UserError(
            f"{source}: refused, since it unpacks to {size:,} bytes", valid=f"at most {max_bytes:,}"
        )
    if size > max_ratio * max(packed, 1) and size > _BLOCK:
        raise UserError(
            f"{source}: refused, since {packed:,} bytes unpack to {size:,}: a zip bomb",
            valid=f"a ratio of at most {max_ratio:g}",
        )
    return files


def _problem(member: zipfile.ZipInfo) -> str:
    """What makes a member dangerous or unreadable, or an empty string."""
    # `filename` is what zipfile made of it: it cuts at NUL and, on Windows, turns backslashes
    name = member.orig_filename
    if "\0" in name or "\\" in name:
        return "has a name with a backslash or NUL"
    path = PurePosixPath(name)
    if path.is_absolute() or _DRIVE.match(name) or not path.parts:
        return "has an absolute or empty path"
    if ".." in path.parts:
        return "has a path with '..'"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a special file"
    if member.flag_bits & 0x1:
        return "is encrypted"
    return ""


def _is_there(folder: Path, member: zipfile.ZipInfo) -> bool:
    try:
        found = (folder / member.filename).stat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == member.file_size


def _extract(
    opened: zipfile.ZipFile,
    members: Sequence[zipfile.ZipInfo],
    source: Path,
    work: Path,
    progress: bool,
) -> None:
    todo = [member for member in members if not _is_there(work, member)]
    need = sum(member.file_size for member in todo)
    require_free(work, need, f"the files of {source.name}")
    work.mkdir(parents=True, exist_ok=True)
    made: set[Path] = set()
    with ProgressBar(
        total=need,
        desc=f"unpacking {source.name}",
        unit="B",
        unit_scale=True,
        delay=1,
        disable=not progress,
    ) as bar:
        for member in todo:
            path = work / member.filename
            if path.parent not in made:
                path.parent.mkdir(parents=True, exist_ok=True)
                made.add(path.parent)
            _extract_one(opened, member, path, source, bar)


def _extract_one(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, source: Path, bar: ProgressBar
) -> None:
    # the final name appears only once the CRC is known to be right: reading the last byte verifies it
    unfinished = path.with_name(path.name + ".part")
    try:
        with opened.open(member) as packed, unfinished.open("wb") as file:
            while block := packed.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
        unfinished.replace(path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UserError(
            f"{source}: member {member.filename!r} is damaged: {error}",
            fix=f"rm {source}, and fetch it again",
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _publish(work: Path, target: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    """Move everything to its place: whole folders where the target has none of the name yet."""
    for top in sorted({PurePosixPath(member.filename).parts[0] for member in members}):
        if not (target / top).exists():
            (work / top).rename(target / top)
    for member in members:
        path = work / member.filename
        if path.exists():  # its folder was there before: files go in one by one
            place = target / member.filename
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
