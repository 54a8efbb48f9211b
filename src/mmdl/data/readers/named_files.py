"""Files of known names, from a folder or from a tar archive that is never unpacked by the names inside it."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from mmdl.errors import UserError

MOST_BYTES = 400_000_000
"""Largest file that is read out of an archive."""

MOST_MEMBERS = 1000
"""Members after which an archive is not searched further."""


class FolderFiles:
    """Files of a folder.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.place = folder

    def missing(self, names: Collection[str]) -> list[str]:
        """Those that are not there, in their order."""
        return [name for name in names if not (self.place / name).is_file()]

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """Name -> content.

        Raises:
            UserError: one can't be read.
        """
        try:
            return {name: (self.place / name).read_bytes() for name in names}
        except OSError as error:
            raise UserError(f"{error.filename} can't be read: {error.strerror}") from None


class TarFiles:
    """Files of a tar archive, compressed or not, in whatever folder of it they lie; links and the like are passed over.

    Args:
        archive: The archive.
    """

    def __init__(self, archive: Path) -> None:
        self.place = archive

    def missing(self, names: Collection[str]) -> list[str]:
        """Those that are not there, in their order; an archive is looked into only when it is read."""
        return []

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """Name -> content, in one pass over the archive.

        Raises:
            UserError: the archive is damaged, or a file is not in it or too large.
        """
        found: dict[str, bytes] = {}
        try:
            with tarfile.open(self.place, "r|*") as archive:
                for number, member in enumerate(archive):
                    name = PurePosixPath(member.name).name
                    if len(found) == len(names) or number >= MOST_MEMBERS:
                        break
                    if name not in names or name in found or not member.isreg():
                        continue
                    if member.size > MOST_BYTES:
                        raise UserError(
                            f"{self.place}: {member.name} has {member.size:,} bytes",
                            valid=f"at most {MOST_BYTES:,}",
                        )
                    file = archive.extractfile(member)
                    assert file is not None
                    found[name] = file.read()
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise self._damaged(str(error)) from None
        absent = [name for name in names if name not in found]
        if absent:
            raise self._damaged(f"{', '.join(absent)} not in it")
        return found

    def _damaged(self, problem: str) -> UserError:
        return UserError(
            f"{self.place} is no sound archive of this data set: {problem}",
            fix=f"rm {self.place}, and fetch it again",
        )
