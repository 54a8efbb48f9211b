"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): where their files lie, and how they get here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from mmdl.data.image_split import ImageSplit
from mmdl.data.paths import data_root
from mmdl.data.readers.cifar import Batch
from mmdl.data.readers.named_files import FolderFiles, TarFiles
from mmdl.data.sources.idx_images import unofficial
from mmdl.data.sources.official_files import OfficialFile, exclusive, fetch
from mmdl.errors import UserError

T = TypeVar("T")

MIRRORS = ("https://www.cs.toronto.edu/~kriz",)
"""Where the author keeps the archives; no other address is published."""

ROWS = {"train": 50_000, "test": 10_000}
"""Images of the official splits."""


@dataclass(frozen=True)
class CifarForm:
    """One published form of a set.

    Attributes:
        folder: Folder of the files in the archive.
        archive: The archive.
        md5: Its MD5; empty where it is never fetched.
        batches: Split -> names of its files.
        names_file: File with the class names.
        batch: Reads one of `batches`.
        names: Reads `names_file`.
    """

    folder: str
    archive: str
    md5: str
    batches: dict[str, tuple[str, ...]]
    names_file: str
    batch: Callable[[bytes], Batch]
    names: Callable[[bytes], tuple[str, ...]]

    @property
    def files(self) -> list[str]:
        """All files that are needed."""
        return [*(name for names in self.batches.values() for name in names), self.names_file]


class CifarSource:
    """The files of one form, in `root`, in the set's folder below it, or in an archive that lies in `root`.

    Args:
        name: Of the data set in mmdl.
        forms: The forms that are read, those that are looked for first in front; the first one is what is fetched.
        root: Folder; None is `name` in the data home.
        mirrors: Addresses in place of the published one; checksums stay the same.
    """

    def __init__(
        self, name: str, forms: Sequence[CifarForm], root: str | None = None, mirrors: Sequence[str] = ()
    ) -> None:
        self.forms = forms
        self.root = data_root(root, name)
        self.mirrors = tuple(mirrors) or MIRRORS

    def _find(self) -> tuple[CifarForm, FolderFiles | TarFiles] | None:
        """The files, where they are complete.

        Raises:
            UserError: a folder holds some of them only.
        """
        parts: list[str] = []
        for form in self.forms:
            for folder in (self.root, self.root / form.folder):
                files = FolderFiles(folder)
                missing = files.missing(form.files)
                if not missing:
                    return form, files
                if len(missing) < len(form.files):
                    parts.append(f"{folder} has no {', '.join(missing)}")
        for form in self.forms:
            if (self.root / form.archive).is_file():
                return form, TarFiles(self.root / form.archive)
        if parts:
            raise UserError(
                f"the data set is not complete: {'; '.join(parts)}",
                valid="all files of one form, " + " or ".join(", ".join(form.files) for form in self.forms),
                fix="add the missing files, or empty the folder to fetch them all",
            )
        return None

    def prepare(self) -> None:
        """Fetch the archive where no files are there, and keep its files in place of it.

        Raises:
            UserError: it can't be had.
        """
        if self._find() is not None:
            return
        form = self.forms[0]
        with exclusive(self.root):
            if self._find() is not None:  # another process was faster
                return
            downloads = self.root / ".downloads"
            [archive] = fetch([OfficialFile(form.archive, form.md5)], self.root, self.mirrors, into=downloads)
            self._unpack(form, archive)
            shutil.rmtree(downloads)

    def _unpack(self, form: CifarForm, archive: Path) -> None:
        """Write the files under their known names; the folder gets its name when all are there."""
        part = self.root / f".{form.folder}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for name, content in TarFiles(archive).read(form.files).items():
            (part / name).write_bytes(content)
        part.rename(self.root / form.folder)

    def split(self, name: str) -> ImageSplit | None:
        """`train` or `test`.

        Raises:
            UserError: a file is damaged.
        """
        if name not in ROWS:
            return None
        found = self._find()
        assert found is not None, "prepare() has been called"
        form, files = found
        contents = files.read([*form.batches[name], form.names_file])
        classes = _parsed(files.place, form.names_file, form.names, contents[form.names_file])
        batches = [_parsed(files.place, file, form.batch, contents[file]) for file in form.batches[name]]
        images = np.concatenate([images for images, _ in batches])
        labels = np.concatenate([labels for _, labels in batches])
        if not len(labels) or labels.min() < 0 or labels.max() >= len(classes):
            found_labels = f"labels {labels.min()} to {labels.max()}" if len(labels) else "no images"
            raise UserError(
                f"{files.place}: {name} holds {found_labels}", valid=f"{len(classes)} classes, from 0 on"
            )
        ids = [f"{name}/{row}" for row in range(len(labels))]
        notes = () if len(ids) == ROWS[name] else (unofficial(len(ids), ROWS[name], name),)
        return ImageSplit(ids, labels, classes, pixels=images, notes=notes)


def _parsed(place: Path, name: str, read: Callable[[bytes], T], content: bytes) -> T:
    """What a reader makes of a file.

    Raises:
        UserError: naming the file.
    """
    try:
        return read(content)
    except ValueError as error:
        raise UserError(
            f"{place}: {name} is no file of this data set: {error}",
            valid="the files of cs.toronto.edu/~kriz/cifar.html, Python or binary version",
            fix=f"remove {place}, and fetch it again",
        ) from None
