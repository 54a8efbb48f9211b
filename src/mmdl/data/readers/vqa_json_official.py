"""Reads VQA v2's official format: one JSON file of questions, one of annotations, a folder of images.

Questions file::

    {"questions": [{"question_id": 262148000, "image_id": 262148, "question": "Where is he looking?"}, ...]}

Annotations file; a test set has none::

    {"annotations": [{"question_id": 262148000, "image_id": 262148, "question_type": "where is the",
                      "answer_type": "other", "answers": [{"answer": "down", "answer_id": 1}, ...]}, ...]}

Further keys are ignored. Source: https://visualqa.org/download.html
"""

from __future__ import annotations

import os
from collections.abc import Sequence
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
from mmdl.data.readers.text_files import read_json
from mmdl.data.readers.types_of import infer_answer_type, infer_question_type
from mmdl.data.vqa_index import VQAIndex
from mmdl.errors import UserError, nearest
from mmdl.progress_bar import ProgressBar


class _Question(NamedTuple):
    where: str
    question_id: int | str
    image_id: int | str
    path: str
    text: str


class _Annotation(NamedTuple):
    answers: Sequence[str]
    question_type: str
    answer_type: str


def read_official(
    questions: str | os.PathLike[str],
    annotations: str | os.PathLike[str] | None,
    image_dir: str | os.PathLike[str],
    image_name: str,
    on_bad_sample: OnBadSample = "raise",
    max_question_words: int = 512,
    check_images: bool = True,
) -> VQAIndex:
    """Read and check one split.

    Args:
        questions: Questions file.
        annotations: Annotations file; None for a test set, whose questions then have no answers.
        image_dir: Folder of the images.
        image_name: File name of an image, such as `COCO_train2014_{image_id:012d}.jpg`.
        on_bad_sample: `raise` or `skip`. Malformed files and missing top-level keys raise in any case.
        max_question_words: Longer questions are bad samples.
        check_images: Whether each image must exist. None is opened here.

    Returns:
        The index; `skipped` counts what was left out, by reason.

    Raises:
        UserError: A file can't be used, or holds bad samples and `on_bad_sample` is `raise`.
    """
    question_file = Path(questions)
    bad = BadSamples(question_file, on_bad_sample)
    if check_images and not Path(image_dir).is_dir():
        raise UserError(f"folder of images not found: {image_dir}")
    samples = _entries(question_file, "questions")
    asked, seen = _check_questions(samples, image_name, max_question_words, bad)
    answered: dict[int | str, _Annotation] = {}
    if annotations is not None:
        asked, answered = _join(asked, seen, Path(annotations), bad)
    if check_images:
        missing = missing_files(image_dir, {question.path for question in asked})
        for question in asked:
            if question.path in missing:
                bad.add(question.where, Problem("missing image", str(Path(image_dir) / question.path)))
        asked = [question for question in asked if question.path not in missing]
    skipped = bad.finish(len(samples), left=len(asked))
    nothing = _Annotation((), "", "")
    rows = [answered.get(question.question_id, nothing) for question in asked]
    return VQAIndex.from_columns(
        question_ids=[question.question_id for question in asked],
        image_ids=[question.image_id for question in asked],
        image_paths=[question.path for question in asked],
        questions=[question.text for question in asked],
        answers=[row.answers for row in rows],
        question_types=[
            row.question_type or infer_question_type(question.text)
            for row, question in zip(rows, asked, strict=True)
        ],
        answer_types=[row.answer_type or infer_answer_type(row.answers) for row in rows],
        root=image_dir,
        skipped=skipped,
    )


def _entries(path: Path, key: str) -> list[Any]:
    """The list below the top-level `key` of an official file."""
    # 4.4 million answers as objects of three keys would take 2 GB: each becomes its text while it is parsed
    pool: dict[str, str] = {}

    def collapse(entry: dict[str, Any]) -> Any:
        text = entry.get("answer")
        if isinstance(text, str) and "answers" not in entry:
            return pool.setdefault(text, text)
        return entry

    document = read_json(path, collapse if key == "annotations" else None)
    if not isinstance(document, dict):
        raise UserError(f"{path} holds {type_name(document)}", valid=f'an object with a list "{key}"')
    if key not in document:
        raise UserError(f"{path} has no key {key!r}", valid=f"present: {nearest(key, document) or 'none'}")
    entries = document[key]
    if not isinstance(entries, list):
        raise UserError(f"{path}: {key!r} is {type_name(entries)}, expected a list")
    if not entries:
        raise UserError(f"{path}: {key!r} is empty")
    return entries


def _check_questions(
    samples: list[Any], image_name: str, max_words: int, bad: BadSamples
) -> tuple[list[_Question], set[str]]:
    """The good questions, and the ids of all."""
    asked: list[_Question] = []
    seen: set[str] = set()
    for row, sample in enumerate(ProgressBar(samples, "questions", delay=2)):
        where = f"questions[{row}]"
        if not isinstance(sample, dict):
            bad.add(where, Problem("wrong type", f"{type_name(sample)}, expected an object"))
            continue
        problem = check_id(sample, "question_id")
        if problem is None:
            question_id = str(sample["question_id"])
            if question_id in seen:
                problem = Problem("duplicate question id", question_id)
            seen.add(question_id)
        problem = problem or check_id(sample, "image_id") or check_question(sample, max_words)
        path = "" if problem else _path(sample["image_id"], image_name)
        if isinstance(path, Problem):
            problem = path
        if problem:
            bad.add(where, problem)
            continue
        assert isinstance(path, str)
        asked.append(_Question(where, sample["question_id"], sample["image_id"], path, sample["question"]))
    return asked, seen


def _path(image_id: int | str, image_name: str) -> str | Problem:
    try:
        path = image_name.format(image_id=image_id)
    except (ValueError, KeyError, IndexError) as error:
        return Problem("wrong type", f"image_id {image_id!r} does not fit {image_name!r}: {error}")
    # numbers can't leave the folder, and a Path for each of a million questions takes seconds
    inside = isinstance(image_id, int) or not (Path(path).is_absolute() or ".." in Path(path).parts)
    return path if inside else Problem("bad image path", f"{path!r} leaves the folder of images")


def _join(
    asked: list[_Question], seen: set[str], file: Path, bad: BadSamples
) -> tuple[list[_Question], dict[int | str, _Annotation]]:
    """Those of the questions that have a good annotation, and the annotations by question id."""
    entries = _entries(file, "annotations")
    image_of = {question.question_id: question.image_id for question in asked}
    answered: dict[int | str, _Annotation] = {}
    refused: set[str] = set()
    strangers = 0
    for row, entry in enumerate(ProgressBar(entries, "annotations", delay=2)):
        checked = _check_annotation(entry, image_of, seen, answered)
        if isinstance(checked, Problem):
            bad.add(f"{file.name} annotations[{row}]", checked)
            strangers += checked.reason == "annotation without question"
            if isinstance(entry, dict):
                refused.add(str(entry.get("question_id")))
        elif checked is not None:
            answered[entry["question_id"]] = checked
    if strangers == len(entries):
        raise UserError(
            f"no annotation of {file} belongs to a question of {bad.file}",
            fix="take both files from the same split",
        )
    for question in asked:
        if question.question_id not in answered and str(question.question_id) not in refused:
            detail = f"question_id {question.question_id!r}"
            bad.add(question.where, Problem("question without annotation", detail))
    return [question for question in asked if question.question_id in answered], answered


def _check_annotation(
    entry: Any,
    image_of: dict[int | str, int | str],
    seen: set[str],
    answered: dict[int | str, _Annotation],
) -> _Annotation | Problem | None:
    """The annotation or what is wrong with it; None if its question was refused before."""
    if not isinstance(entry, dict):
        return Problem("wrong type", f"{type_name(entry)}, expected an object")
    problem = check_id(entry, "question_id")
    if problem:
        return problem
    question_id = entry["question_id"]
    if str(question_id) not in seen:
        return Problem("annotation without question", f"question_id {question_id!r}")
    if question_id in answered:
        return Problem("duplicate annotation", f"question_id {question_id!r}")
    if question_id not in image_of:
        return None
    if entry.get("image_id", image_of[question_id]) != image_of[question_id]:
        detail = f"question {question_id} has {image_of[question_id]}, its annotation {entry['image_id']}"
        return Problem("image ids differ", detail)
    for key in ("question_type", "answer_type"):
        problem = check_string(entry, key) if key in entry else None
        if problem:
            return problem
    problem = _check_answers(entry)
    return problem or _Annotation(
        entry["answers"], entry.get("question_type", ""), entry.get("answer_type", "")
    )


def _check_answers(entry: dict[str, Any]) -> Problem | None:
    """None if `entry["answers"]` is a list of answers, which `_entries` has collapsed to strings."""
    if "answers" not in entry:
        return missing_key(entry, "answers")
    answers = entry["answers"]
    if not isinstance(answers, list):
        return Problem("wrong type", f"'answers' is {type_name(answers)}, expected a list")
    if not answers:
        return Problem("no answers", f"question_id {entry['question_id']!r}")
    for number, answer in enumerate(answers):
        place = f"answers[{number}]"
        if isinstance(answer, dict):
            found = check_string(answer, "answer") or Problem("wrong type", "has 'answers' of its own")
            return Problem(found.reason, f"{place}: {found.detail}")
        if not isinstance(answer, str):
            return Problem("wrong type", f"{place} is {type_name(answer)}, expected an object")
        if not answer.isascii() and (problem := check_unicode(answer, place)):
            return problem
    return None
