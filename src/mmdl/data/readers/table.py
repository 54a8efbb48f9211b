r"""Reads a user's own questions: a JSONL, JSON, CSV or TSV file with a row a question, and images.

JSONL, an object a line (`.json` may also hold one list of such objects)::

    {"image": "cats/1.jpg", "question": "How many cats are there?", "answer": "2"}
    {"image": "cats/1.jpg", "question": "What colour are they?", "answers": ["black", "black", "grey"]}

CSV (comma or semicolon) or TSV, with names in the first line; several answers are separated by `|`::

    image,question,answers
    cats/1.jpg,How many cats are there?,2
    cats/1.jpg,What colour are they?,black|black|grey

| column | |
|---|---|
| `image` | path relative to the image folder, below which it must stay; an absolute path is taken as it is |
| `question` | text of 1 to 512 words |
| `answer` or `answers` | one reference answer, or several (of several persons): not both |
| `question_id` | optional, in all rows or none: a number or a text, distinct; else rows are numbered from 0 |
| `question_type` | optional; else the first two words |
| `answer_type` | optional; else `yes/no`, `number` or `other` by the most frequent answer |

Files are UTF-8. Further columns are ignored. Images whose paths are equal are one image.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from mmdl.data.readers.bad_samples import (
    BadSamples,
    OnBadSample,
    Problem,
    check_id,
    check_question,
    check_string,
    check_unicode,
    missing_key,
    type_name,
)
from mmdl.data.readers.image_files import missing_files
from mmdl.data.readers.image_paths import image_path
from mmdl.data.readers.table_rows import Row, read_rows
from mmdl.data.readers.types_of import infer_answer_type, infer_question_type
from mmdl.data.vqa_index import VQAIndex
from mmdl.errors import UserError
from mmdl.progress_bar import ProgressBar

_SEPARATOR = "|"
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")


class _Sample(NamedTuple):
    where: str
    question_id: int | str
    path: str
    question: str
    answers: list[str]
    question_type: str
    answer_type: str


def read_table(
    path: str | os.PathLike[str],
    image_root: str | os.PathLike[str] | None = None,
    on_bad_sample: OnBadSample = "raise",
    max_question_words: int = 512,
    check_images: bool = True,
    require_answers: bool = True,
) -> VQAIndex:
    """Read and check one split in the format that this module describes.

    Args:
        path: The table: `.jsonl`, `.ndjson`, `.json`, `.csv` or `.tsv`.
        image_root: Folder that relative image paths start from; None takes the table's own folder.
        on_bad_sample: `raise` or `skip`. A file that can't be read as a whole raises in any case.
        max_question_words: Longer questions are bad samples.
        check_images: Whether each image must exist. None is opened here.
        require_answers: Whether a row without an answer is a bad sample; False to predict.

    Returns:
        The index; `skipped` counts what was left out, by reason. Image ids are the paths.

    Raises:
        UserError: The file can't be used, or holds bad samples and `on_bad_sample` is `raise`.
    """
    file = Path(path)
    root = Path(image_root) if image_root is not None else file.parent
    bad = BadSamples(file, on_bad_sample)
    if image_root is not None and check_images and not root.is_dir():
        raise UserError(f"folder of images not found: {root}", fix="give data.image_root=FOLDER")
    rows = read_rows(file, required=("image", "question"))
    _refuse_official(file, rows[0][1])
    samples = _check_rows(rows, file, root.absolute(), max_question_words, require_answers, bad)
    if check_images:
        missing = missing_files(root, {sample.path for sample in samples})
        for sample in samples:
            if sample.path in missing:
                bad.add(sample.where, Problem("missing image", str(root / sample.path)))
        samples = [sample for sample in samples if sample.path not in missing]
    skipped = bad.finish(len(rows), left=len(samples))
    return VQAIndex.from_columns(
        question_ids=[sample.question_id for sample in samples],
        image_ids=[sample.path for sample in samples],
        image_paths=[sample.path for sample in samples],
        questions=[sample.question for sample in samples],
        answers=[sample.answers for sample in samples],
        question_types=[sample.question_type for sample in samples],
        answer_types=[sample.answer_type for sample in samples],
        root=root,
        skipped=skipped,
    )


def _refuse_official(file: Path, first: Row | Problem) -> None:
    if isinstance(first, dict) and {"questions", "annotations"} & first.keys():
        raise UserError(
            f"{file} is in the official VQA format, not a row a question",
            valid='{"image": ..., "question": ..., "answer": ...} in each line',
            fix="use data=vqa_v2 for official files",
        )


def _check_rows(
    rows: list[tuple[str, Row | Problem]],
    file: Path,
    root: Path,
    max_words: int,
    require_answers: bool,
    bad: BadSamples,
) -> list[_Sample]:
    cells_are_text = file.suffix.lower() in (".csv", ".tsv")
    has_ids = any(isinstance(row, dict) and "question_id" in row for _, row in rows)
    whole = cells_are_text and all(
        _INTEGER.fullmatch(row.get("question_id", "")) for _, row in rows if isinstance(row, dict)
    )
    seen: set[str] = set()
    samples: list[_Sample] = []
    for number, (where, row) in enumerate(ProgressBar(rows, file.name, delay=2)):
        if isinstance(row, dict):
            row = {"question_id": number, **row} if not has_ids else row
            if cells_are_text:
                row = _from_cells(row, whole)
            checked = _check_row(row, where, root, max_words, require_answers)
        else:
            checked = row
        if isinstance(checked, _Sample) and str(checked.question_id) in seen:
            checked = Problem("duplicate question id", str(checked.question_id))
        if isinstance(checked, Problem):
            bad.add(where, checked)
        else:
            seen.add(str(checked.question_id))
            samples.append(checked)
    return samples


def _from_cells(row: Row, whole_ids: bool) -> Row:
    """Give the cells of a CSV row the types that JSON has."""
    row = dict(row)
    if whole_ids:
        row["question_id"] = int(row["question_id"])
    if "answers" in row:
        row["answers"] = [answer.strip() for answer in row["answers"].split(_SEPARATOR)]
    return row


def _check_row(row: Row, where: str, root: Path, max_words: int, require_answers: bool) -> _Sample | Problem:
    path = image_path(row, root)
    if isinstance(path, Problem):
        return path
    problem = check_question(row, max_words) or check_id(row, "question_id")
    for key in ("question_type", "answer_type"):
        problem = problem or (check_string(row, key) if key in row else None)
    if problem:
        return problem
    answers = _answers(row, require_answers)
    if isinstance(answers, Problem):
        return answers
    question = row["question"]
    return _Sample(
        where,
        row["question_id"],
        path,
        question,
        answers,
        row.get("question_type") or infer_question_type(question),
        row.get("answer_type") or infer_answer_type(answers),
    )


def _answers(row: Row, required: bool) -> list[str] | Problem:
    if "answer" in row and "answers" in row:
        return Problem("wrong type", "both 'answer' and 'answers'; one of them is enough")
    if "answers" not in row and "answer" not in row:
        return missing_key(row, "answer") if required else []
    answers: Any = row["answers"] if "answers" in row else [row["answer"]]
    if not isinstance(answers, list):
        return Problem("wrong type", f"'answers' is {type_name(answers)}, expected a list")
    if not answers and required:
        return Problem("no answers", "'answers' is an empty list")
    for answer in answers:
        if not isinstance(answer, str):
            return Problem("wrong type", f"an answer is {type_name(answer)}, expected a text in quotes")
        if not answer.strip():
            return Problem("empty answer", repr(answer))
        problem = check_unicode(answer, "answer")
        if problem:
            return problem
    return answers
