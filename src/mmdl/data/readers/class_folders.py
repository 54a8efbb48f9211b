"""Lists a tree in which each folder is a class: `root/<class>/**/<image>`, millions of files in seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mmdl.data.bad_images import BadSamples
from mmdl.errors import UserError

_JPEG = ("jpg", "jpeg", "jpe", "jfif")
IMAGE_SUFFIXES = frozenset((*_JPEG, "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "avif"))
"""Endings, in lower case, of files that are taken as images without a look inside."""

_SYSTEM_FILES = frozenset(("Thumbs.db", "desktop.ini", "__MACOSX"))  # hidden on the systems that write them
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"BM", b"II*\x00", b"MM\x00*")

_Kind: TypeAlias = Literal["folder", "file", "other"]


@dataclass
class ClassFolders:
    """The listing of a tree.

    Attributes:
        classes: Names of the class folders, sorted; folders without images are among them.
        names: `N` paths relative to the root, by class and then by name.
        labels: `(N,)` int64 index into `classes`.
        bad: What can't be used.
        folders: Every folder -> time of its last change, in nanoseconds; the root is the empty name.
    """

    classes: tuple[str, ...]
    names: pa.Array
    labels: npt.NDArray[np.int64]
    bad: list[BadSamples] = field(default_factory=list)
    folders: dict[str, int] = field(default_factory=dict)

    def counts(self) -> npt.NDArray[np.int64]:
        """`(K,)` number of images of each class."""
        return np.bincount(self.labels, minlength=len(self.classes)).astype(np.int64)


def list_class_folders(root: str) -> ClassFolders:
    """List a tree; files and folders whose names begin with a dot are passed over.

    Args:
        root: Folder of the class folders.

    Returns:
        The listing. Bad are files that are no images, images beside the class folders, broken links, and links back
        to a folder above.

    Raises:
        UserError: a folder can't be read.
    """
    lister = _Lister(root)
    names: list[str] = []
    counts: list[int] = []
    classes = lister.classes()
    for name in classes:
        images = sorted(lister.images(name, (_identity(root),)))
        names += images
        counts.append(len(images))
    return ClassFolders(
        tuple(classes),
        pa.array(names, type=pa.string()),
        np.repeat(np.arange(len(classes), dtype=np.int64), counts),
        lister.bad,
        lister.folders,
    )


def folder_names(place: str) -> list[str]:
    """Names of the folders in a folder that are not hidden, sorted.

    Args:
        place: The folder.

    Raises:
        UserError: it can't be read.
    """
    return sorted(name for name, kind in _entries(place) if kind == "folder" and not _hidden(name))


def image_names(place: str) -> list[str]:
    """Names of the images that lie directly in a folder, by their endings, sorted.

    Args:
        place: The folder.

    Raises:
        UserError: it can't be read.
    """
    names = (name for name, kind in _entries(place) if kind == "file")
    return sorted(name for name in names if _has_image_suffix(name) and not _hidden(name))


class _Lister:
    """Walks one tree and collects what is bad in it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.bad: list[BadSamples] = []
        self.folders: dict[str, int] = {}

    def classes(self) -> list[str]:
        """Names of the class folders."""
        found = []
        for name, kind in self.entries(""):
            if kind == "folder":
                found.append(name)
            elif _has_image_suffix(name):
                message = f"{self.root}/{name} lies beside the class folders and not in one of them"
                self.bad.append(BadSamples("image outside the class folders", message))
        return sorted(found)

    def images(self, folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
        """Relative paths of the images of a folder and of those below it."""
        here = _identity(f"{self.root}/{folder}")
        if here in above:
            message = f"{self.root}/{folder} is a link to a folder that it lies in"
            self.bad.append(BadSamples("link in a circle", message))
            return
        for name, kind in self.entries(folder):
            path = f"{folder}/{name}"
            if kind == "folder":
                yield from self.images(path, (*above, here))
            elif kind == "file" and (_has_image_suffix(name) or _begins_as_image(f"{self.root}/{path}")):
                yield path
            elif kind == "file":
                self.bad.append(BadSamples("not an image", f"{self.root}/{path} is not an image"))
            else:
                self.bad.append(BadSamples("missing", f"{self.root}/{path} is a link to nothing, or no file"))

    def entries(self, folder: str) -> Iterator[tuple[str, _Kind]]:
        """Name and kind of all that is not hidden in a folder of the tree."""
        place = f"{self.root}/{folder}" if folder else self.root
        listed = _entries(place)
        self.folders[folder] = os.stat(place).st_mtime_ns  # noqa: PTH116
        for name, kind in listed:
            if _hidden(name):
                continue
            if name.isascii() or _is_utf8(name):
                yield name, kind
            else:
                self.bad.append(
                    BadSamples("name is not UTF-8", f"{place}: a name that is not UTF-8: {name!a}")
                )


def _entries(place: str) -> list[tuple[str, _Kind]]:
    """Name and kind of all that is in a folder; no call to the file system for each, but for links."""
    try:
        with os.scandir(place) as entries:
            return [(entry.name, _kind(entry)) for entry in entries]
    except OSError as error:
        raise UserError(
            f"the folder {place} can't be read: {error.strerror}",
            valid="a folder that you may list and enter",
            fix=f"chmod u+rx {place}, or take it out of the data",
        ) from None


def _kind(entry: os.DirEntry[str]) -> _Kind:
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
    except OSError:  # a link to itself
        return "other"


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in _SYSTEM_FILES


def _identity(place: str) -> tuple[int, int]:
    try:
        stat = os.stat(place)  # noqa: PTH116
    except OSError:
        return -1, -1
    return stat.st_dev, stat.st_ino


def _has_image_suffix(name: str) -> bool:
    return name.rpartition(".")[2].lower() in IMAGE_SUFFIXES


def _begins_as_image(path: str) -> bool:
    """Whether a file of another ending has the content of an image; one that can't be read is left to decoding."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(16).startswith(_MAGIC)
    except OSError:
        return True


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
