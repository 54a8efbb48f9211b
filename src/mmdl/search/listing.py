"""Which images lie below a folder, with what tells a changed one: size and time of change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from mmdl.data.bad_images import BadSamples
from mmdl.data.readers.class_folders import IMAGE_SUFFIXES
from mmdl.errors import UserError


class Listing(NamedTuple):
    """The images below a folder, sorted by name.

    Attributes:
        names: `N` paths relative to the folder, with `/` between the parts.
        sizes: `N` bytes of each.
        times: `N` times of the last change, in nanoseconds.
        bad: What can't be used: broken links, links in a circle, folders that can't be read, names that are not UTF-8.
    """

    names: list[str]
    sizes: list[int]
    times: list[int]
    bad: list[BadSamples]


def list_images(root: Path, leave_out: Path | None = None) -> Listing:
    """List the images of a folder and of all folders below it, by their endings.

    Args:
        root: The folder. Files and folders whose names begin with a dot are passed over.
        leave_out: A folder that is passed over too: that of the index, whose pictures are no images to find.

    Raises:
        UserError: if the folder is none, can't be read, or holds no image.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise UserError(f"images={root} {what}", valid="a folder of images", fix="images=FOLDER")
    walker = _Walker(root, leave_out)
    try:
        walker.walk("", ())
    except OSError as error:
        raise UserError(f"the folder {root} can't be read: {error.strerror}") from error
    if not walker.found and not walker.bad:
        raise UserError(
            f"there is no image in {root}", valid=", ".join(f".{s}" for s in sorted(IMAGE_SUFFIXES))
        )
    walker.found.sort()
    names, sizes, times = ([row[column] for row in walker.found] for column in range(3))
    return Listing(names, sizes, times, walker.bad)  # type: ignore[arg-type]


class _Walker:
    """Walks one tree."""

    def __init__(self, root: Path, leave_out: Path | None) -> None:
        self.root = os.fspath(root)
        self.left_out = (
            None if leave_out is None or not leave_out.is_dir() else _identity(os.fspath(leave_out))
        )
        self.found: list[tuple[str, int, int]] = []
        self.bad: list[BadSamples] = []

    def walk(self, folder: str, above: tuple[tuple[int, int], ...]) -> None:
        """Collect the images of a folder and of those below it; raises where the folder can't be listed."""
        place = f"{self.root}/{folder}" if folder else self.root
        here = _identity(place)
        if here in above:
            self.add("link in a circle", folder, "is a link to a folder that it lies in")
            return
        if here == self.left_out:
            return
        with os.scandir(place) as entries:
            listed = [entry for entry in entries if not entry.name.startswith(".")]
        for entry in listed:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir():
                self.below(name, (*above, here))
            elif entry.name.rpartition(".")[2].lower() in IMAGE_SUFFIXES and "." in entry.name:
                self.take(entry, name)

    def below(self, name: str, above: tuple[tuple[int, int], ...]) -> None:
        """A folder below the first: one that can't be read is noted."""
        try:
            self.walk(name, above)
        except OSError as error:
            self.add("unreadable folder", name, f"can't be read: {error.strerror}")

    def take(self, entry: os.DirEntry[str], name: str) -> None:
        """Note an image."""
        try:
            name.encode()
            stat = entry.stat()
        except UnicodeEncodeError:
            self.add("name is not UTF-8", ascii(name), "has a name that is not UTF-8")
        except OSError:
            self.add("missing", name, "is a link to nothing")
        else:
            self.found.append((name, stat.st_size, stat.st_mtime_ns))

    def add(self, reason: str, name: str, what: str) -> None:
        """Note what can't be used."""
        self.bad.append(BadSamples(reason, f"{self.root}/{name} {what}"))


def _identity(place: str) -> tuple[int, int]:
    stat = os.stat(place)  # noqa: PTH116
    return stat.st_dev, stat.st_ino
