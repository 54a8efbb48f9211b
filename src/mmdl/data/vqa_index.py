"""The index of a VQA split: validated questions in columns, grouped by image, as Arrow tables on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mmdl.data.columns import Column, id_array, one_array, update_digest
from mmdl.data.image_keys import image_keys
from mmdl.errors import UserError

IntArray = npt.NDArray[np.int64]

READER_VERSION = 1
"""Raise it when the readers or the layout of a saved index change: cached indexes are then built anew."""

_QUESTION_COLUMNS = ("question_id", "image", "question", "answers", "question_type", "answer_type")


class DamagedIndex(UserError):
    """A saved index that is incomplete, changed, or of another version."""


class VQAIndex:
    """One split's questions, with the questions of an image next to each other.

    Images stand in the order of their first question in the file, the questions of an image in file order.
    Make one with `from_columns`, a reader of `mmdl.data.readers`, or `load`.

    Args:
        questions: Table with a row a question: question_id, image, question, answers, question_type,
            answer_type.
        images: Table with a row an image: image_id, path.
        root: Folder that relative image paths start from.
        skipped: Samples that the reader left out, by reason.
        fingerprint: SHA-256 of the content where it is known already.
    """

    def __init__(
        self,
        questions: datasets.Dataset,
        images: datasets.Dataset,
        root: str | os.PathLike[str],
        skipped: Mapping[str, int] | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self._tables = {"questions": questions, "images": images}
        self.root = Path(root).absolute()
        self.skipped: dict[str, int] = dict(skipped or {})
        """Samples that the reader left out under `on_bad_sample=skip`, by reason."""
        self._fingerprint = fingerprint
        self.question_ids: Column[int | str] = self._column("questions", "question_id")
        """`Q` ids: int64, or strings where the file has any."""
        self.questions: Column[str] = self._column("questions", "question")
        """`Q` questions, as written."""
        self.answers: Column[list[str]] = self._column("questions", "answers")
        """`Q` lists of reference answers, as written; empty lists for a test set without references."""
        self.question_types: Column[str] = self._column("questions", "question_type")
        """`Q` question types, such as `how many`."""
        self.answer_types: Column[str] = self._column("questions", "answer_type")
        """`Q` answer types: `yes/no`, `number`, `other`, or the file's own; empty without references."""
        self.image_ids: Column[int | str] = self._column("images", "image_id")
        """`I` image ids: int64, or strings where the file has any."""

    @classmethod
    def from_columns(
        cls,
        *,
        question_ids: Sequence[int | str],
        image_ids: Sequence[int | str],
        image_paths: Sequence[str],
        questions: Sequence[str],
        answers: Sequence[Sequence[str]],
        question_types: Sequence[str],
        answer_types: Sequence[str],
        root: str | os.PathLike[str],
        skipped: Mapping[str, int] | None = None,
    ) -> VQAIndex:
        """Group questions, given in file order with one value a question in every column, by image.

        Args:
            question_ids: Ids, distinct.
            image_ids: Id of each question's image.
            image_paths: Path of each question's image: absolute, or relative to `root`.
            questions: Question texts.
            answers: Reference answers; may be empty.
            question_types: Question types.
            answer_types: Answer types.
            root: Folder that relative image paths start from.
            skipped: Samples that were left out, by reason.

        Raises:
            UserError: There is no question.
        """
        if not len(questions):
            raise UserError("no question is left", fix="python -m mmdl check, which names what was left out")
        row_of: dict[int | str, int] = {}
        paths: list[str] = []
        image = np.empty(len(questions), dtype=np.int64)
        for row, (image_id, path) in enumerate(zip(image_ids, image_paths, strict=True)):
            image[row] = row_of.setdefault(image_id, len(paths))
            if image[row] == len(paths):
                paths.append(path)
        order = np.argsort(image, kind="stable")
        columns = {
            "question_id": id_array(question_ids),
            "image": pa.array(image),
            "question": pa.array(questions, type=pa.string()),
            "answers": pa.array(answers, type=pa.list_(pa.string())),
            "question_type": pa.array(question_types, type=pa.string()),
            "answer_type": pa.array(answer_types, type=pa.string()),
        }
        return cls(
            datasets.Dataset.from_dict({name: column.take(order) for name, column in columns.items()}),
            datasets.Dataset.from_dict(
                {"image_id": id_array(list(row_of)), "path": pa.array(paths, type=pa.string())}
            ),
            root,
            skipped,
        )

    def _column(self, table: str, name: str) -> Column[Any]:
        return Column(self._tables[table].data.column(name))

    def __len__(self) -> int:
        """Number of questions, `Q`."""
        return len(self.questions)

    @property
    def num_images(self) -> int:
        """Number of images, `I`; each has at least one question."""
        return len(self.image_ids)

    @cached_property
    def image_of(self) -> IntArray:
        """`(Q,)` int64: the image of each question, as a row of the image columns; never falls."""
        return np.array(self._column("questions", "image").array.to_numpy())

    @cached_property
    def image_offsets(self) -> IntArray:
        """`(I + 1,)` int64: image `i` has the questions `image_offsets[i]` to `image_offsets[i + 1] - 1`."""
        return np.searchsorted(self.image_of, np.arange(self.num_images + 1)).astype(np.int64)

    @cached_property
    def image_paths(self) -> list[str]:
        """`I` absolute paths of the image files."""
        return [os.path.join(self.root, path) for path in self._column("images", "path")]  # noqa: PTH118

    @cached_property
    def image_keys(self) -> list[str]:
        """`I` short names of the images, which don't change with the folder: base names, where these are unique."""
        return image_keys(self.image_paths)

    @cached_property
    def answer_counts(self) -> dict[int, int]:
        """Number of reference answers -> number of questions that have so many."""
        lengths = pc.list_value_length(self.answers.array).to_numpy()
        return {int(n): int(count) for n, count in zip(*np.unique(lengths, return_counts=True), strict=True)}

    @property
    def has_answers(self) -> bool:
        """Whether any question has a reference answer."""
        return self.answer_counts.keys() != {0}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all columns, in hexadecimal; `root` is not part of it, so moved data keep theirs."""
        if self._fingerprint is None:
            digest = hashlib.sha256()
            for table in self._tables.values():
                for name in table.column_names:
                    digest.update(name.encode())
                    update_digest(digest, one_array(table.data.column(name)))
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def select_images(self, rows: Iterable[int] | IntArray) -> VQAIndex:
        """The index of some images with all their questions, in this index's order.

        Args:
            rows: Rows of the image columns, in any order; repeats count once.

        Returns:
            A new index; `skipped` is this one's: it belongs to the file that was read.

        Raises:
            UserError: `rows` is empty.
        """
        chosen = np.unique(np.fromiter(rows, dtype=np.int64))
        if not len(chosen):
            raise UserError("no image was selected", valid=f"1 to {self.num_images} images")
        assert chosen[0] >= 0, "image row out of range"
        assert chosen[-1] < self.num_images, "image row out of range"
        kept = np.flatnonzero(np.isin(self.image_of, chosen))
        columns = {name: self._column("questions", name).array for name in _QUESTION_COLUMNS}
        taken = {name: one_array(column.take(pa.array(kept))) for name, column in columns.items()}
        taken["image"] = pa.array(np.searchsorted(chosen, self.image_of[kept]))
        images = {
            name: one_array(self._column("images", name).array.take(pa.array(chosen)))
            for name in ("image_id", "path")
        }
        return VQAIndex(
            datasets.Dataset.from_dict(taken), datasets.Dataset.from_dict(images), self.root, self.skipped
        )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write to a folder that doesn't exist yet, atomically: it appears complete or not at all.

        Layout: `questions/` and `images/` as `datasets.load_from_disk` reads them, `index.json` with the
        rest.
        """
        target = Path(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            with _no_progress_bars():
                for name, table in self._tables.items():
                    table.save_to_disk(str(work / name))
            facts = {
                "version": READER_VERSION,
                "fingerprint": self.fingerprint,
                "root": str(self.root),
                "skipped": self.skipped,
                "sha256": {name: _sha256(work / name) for name in _data_files(work)},
            }
            (work / "index.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> VQAIndex:
        """Open a saved index; its tables are memory-mapped.

        Raises:
            DamagedIndex: The folder is no saved index, or its files are not those that were written.
        """
        source = Path(folder)
        try:
            facts = json.loads((source / "index.json").read_text(encoding="utf-8"))
            version, sums = facts["version"], dict(facts["sha256"])
            facts = {name: facts[name] for name in ("root", "skipped", "fingerprint")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedIndex(f"{source} is no complete index: {error!r}") from None
        if version != READER_VERSION:
            raise DamagedIndex(f"{source} has version {version}", valid=f"version {READER_VERSION}")
        found = {name: _sha256(source / name) for name in _data_files(source)}
        for name in sorted(sums.keys() | found.keys()):
            if sums.get(name) != found.get(name):
                raise DamagedIndex(f"{source / name} is not the file that was written")
        tables = [datasets.load_from_disk(str(source / name)) for name in ("questions", "images")]
        return cls(*tables, **facts)


def _data_files(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path != folder / "index.json")
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """`datasets` shows a bar for every table that it writes; ours take a moment."""
    if datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()
