"""The official format: what is read, and one clear error for every kind of bad input."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mmdl.data.readers.vqa_json_official import read_official
from mmdl.data.vqa_index import VQAIndex
from mmdl.errors import UserError

DATA = Path(os.environ.get("MMDL_TEST_DATA", "../shared/data")) / "coco"
NAME = "COCO_train2014_{image_id:012d}.jpg"


class Split:
    """A small split on disk, good until a test changes `questions` or `annotations`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = folder / "train2014"
        self.images.mkdir()
        self.questions: list[Any] = [
            {"question_id": 10, "image_id": 1, "question": "What is this?"},
            {"question_id": 20, "image_id": 2, "question": "How many?"},
            {"question_id": 11, "image_id": 1, "question": "Is it?"},
        ]
        self.annotations: list[Any] = [
            {
                "question_id": question_id,
                "image_id": image_id,
                "question_type": "what is",
                "answer_type": "other",
                "multiple_choice_answer": "dog",
                "answers": [
                    {"answer": "dog", "answer_confidence": "yes", "answer_id": i} for i in range(1, 11)
                ],
            }
            for question_id, image_id in [(20, 2), (10, 1), (11, 1)]
        ]
        for image_id in (1, 2):
            (self.images / NAME.format(image_id=image_id)).touch()

    def write(self) -> tuple[Path, Path]:
        files = self.folder / "questions.json", self.folder / "annotations.json"
        files[0].write_text(json.dumps({"info": {}, "questions": self.questions}))
        files[1].write_text(json.dumps({"info": {}, "annotations": self.annotations}))
        return files

    def read(self, **options: Any) -> VQAIndex:
        return read_official(*self.write(), self.images, NAME, **options)

    def error(self, **options: Any) -> str:
        with pytest.raises(UserError) as caught:
            self.read(**options)
        return str(caught.value)


@pytest.fixture
def split(tmp_path: Path) -> Split:
    return Split(tmp_path)


def test_good_split(split: Split) -> None:
    split.annotations[0]["answers"][0]["answer"] = "été"
    index = split.read()
    assert list(index.question_ids) == [10, 11, 20]
    assert list(index.image_ids) == [1, 2]
    assert index.image_offsets.tolist() == [0, 2, 3]
    assert index.answers[0] == ["dog"] * 10
    assert index.answers[2] == ["été"] + ["dog"] * 9
    assert list(index.question_types) == ["what is"] * 3
    assert index.image_paths[0] == str(split.images / "COCO_train2014_000000000001.jpg")
    assert index.skipped == {}


def test_test_sets_have_no_annotations(split: Split) -> None:
    questions, _ = split.write()
    index = read_official(questions, None, split.images, NAME)
    assert list(index.answers) == [[], [], []]
    assert not index.has_answers
    assert list(index.answer_types) == [""] * 3
    assert list(index.question_types) == ["what is", "is it?", "how many?"]


def test_types_may_be_absent(split: Split) -> None:
    for annotation in split.annotations:
        del annotation["question_type"], annotation["answer_type"]
    split.annotations[0]["answers"] = [{"answer": "2"}] * 3
    index = split.read()
    assert index.answer_types[2] == "number"
    assert index.question_types[2] == "how many?"
    assert index.answer_counts == {3: 1, 10: 2}


def drop(key: str) -> Any:
    return lambda sample: sample.pop(key)


def put(key: str, value: Any) -> Any:
    return lambda sample: sample.update({key: value})


BAD_QUESTIONS = [
    (drop("question"), "missing key: no 'question'; present: question_id, image_id", "missing key"),
    (drop("question_id"), "no 'question_id'; present: question, image_id", "missing key"),
    (drop("image_id"), "no 'image_id'", "missing key"),
    (put("question", ""), "empty question: ''", "empty question"),
    (put("question", " \n"), "empty question", "empty question"),
    (put("question", "why " * 10_000), "10,000 words, at most 512", "question too long"),
    (put("question", 3), "'question' is a number, expected a string", "wrong type"),
    (put("question", ["a"]), "'question' is a list, expected a string", "wrong type"),
    (put("question", "\ud800"), "half of a surrogate pair", "wrong type"),
    (put("question_id", True), "'question_id' is a boolean, expected an integer or a string", "wrong type"),
    (put("question_id", 2**63), "'question_id' is beyond 64 bits", "wrong type"),
    (put("question_id", 10), "duplicate question id: 10", "duplicate question id"),
    (put("image_id", None), "'image_id' is null", "wrong type"),
    (put("image_id", "two"), "image_id 'two' does not fit", "wrong type"),
    (put("image_id", 999), "missing image: {images}/COCO_train2014_000000000999.jpg", "missing image"),
]


@pytest.mark.parametrize(("change", "message", "reason"), BAD_QUESTIONS)
def test_bad_question(split: Split, change: Any, message: str, reason: str) -> None:
    change(split.questions[1])
    for annotation in split.annotations:  # else the image ids would differ as well
        annotation.pop("image_id")
    if "question_id" not in split.questions[1] or split.questions[1]["question_id"] != 20:
        split.annotations.pop(0)
    text = split.error()
    assert text.startswith(
        f"{split.folder / 'questions.json'}: 1 bad sample (of 3)\n  questions[1]: {reason}"
    )
    assert message.format(images=split.images) in text
    assert "data.on_bad_sample=skip" in text
    index = split.read(on_bad_sample="skip")
    assert index.skipped == {reason: 1}
    assert list(index.question_ids) == [10, 11]


BAD_ANNOTATIONS = [
    (drop("answers"), "missing key: no 'answers'; present: answer_type", "missing key"),
    (put("answers", "dog"), "'answers' is a string, expected a list", "wrong type"),
    (put("answers", []), "no answers: question_id 20", "no answers"),
    (
        put("answers", [{"answer": "a"}, {"answr": "b"}]),
        "answers[1]: no 'answer'; present: answr",
        "missing key",
    ),
    (put("answers", [{"answer": 3}]), "answers[0]: 'answer' is a number, expected a string", "wrong type"),
    (put("answers", [3]), "answers[0] is a number, expected an object", "wrong type"),
    (put("answers", [{"answer": "\udfff"}]), "half of a surrogate pair", "wrong type"),
    (put("answer_type", 3), "'answer_type' is a number, expected a string", "wrong type"),
    (put("image_id", 1), "question 20 has 2, its annotation 1", "image ids differ"),
]


@pytest.mark.parametrize(("change", "message", "reason"), BAD_ANNOTATIONS)
def test_bad_annotation(split: Split, change: Any, message: str, reason: str) -> None:
    change(split.annotations[0])
    text = split.error()
    assert f"1 bad sample (of 3)\n  annotations.json annotations[0]: {reason}" in text
    assert message in text
    index = split.read(on_bad_sample="skip")
    assert index.skipped == {reason: 1}
    assert list(index.question_ids) == [10, 11]


def test_question_without_annotation(split: Split) -> None:
    split.annotations.pop()
    assert "questions[2]: question without annotation: question_id 11" in split.error()
    assert split.read(on_bad_sample="skip").skipped == {"question without annotation": 1}


def test_annotation_without_question(split: Split) -> None:
    split.annotations.append(dict(split.annotations[0], question_id=99))
    assert "annotations[3]: annotation without question: question_id 99" in split.error()
    index = split.read(on_bad_sample="skip")
    assert index.skipped == {"annotation without question": 1}
    assert len(index) == 3


def test_duplicate_annotation(split: Split) -> None:
    split.annotations.append(split.annotations[0])
    assert "annotations[3]: duplicate annotation: question_id 20" in split.error()
    assert len(split.read(on_bad_sample="skip")) == 3


def test_files_of_different_splits(split: Split) -> None:
    for annotation in split.annotations:
        annotation["question_id"] += 1000
    for policy in ("raise", "skip"):
        text = split.error(on_bad_sample=policy)
        assert "no annotation of" in text
        assert "same split" in text


def test_every_sample_is_no_object(split: Split) -> None:
    split.questions[0] = "What is this?"
    assert "questions[0]: wrong type: a string, expected an object" in split.error()


def test_all_bad_samples_are_named_at_once(split: Split) -> None:
    split.questions += [{"question_id": i, "image_id": 1, "question": ""} for i in range(100, 150)]
    text = split.error()
    assert ": 50 bad samples (of 53)" in text
    assert text.count("empty question: ''") == 20
    assert "and 30 more; in all 50 empty question" in text


def test_nothing_left(split: Split) -> None:
    split.questions = [dict(question, question="") for question in split.questions]
    assert "none of 3 samples can be used: 3 empty question" in split.error(on_bad_sample="skip")


@pytest.mark.parametrize("policy", ["raise", "skip"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"questions": [\n{"question_id": }]}', "line 2, column 17"),
        (b'{"questions": [{"question_id": 1', "the text ends there"),
        (b"", "is empty"),
        (b'\xff\xfe{\x00"', "UTF-16"),
        (b'{"questions": "\xe9"}', "byte 0xe9 at byte offset 15 (line 1)"),
        (b"[" * 200_000, "nested too deeply"),
        (b"[]", 'holds a list\n  valid: an object with a list "questions"'),
        (b'{"question": [], "info": 1}', "has no key 'questions'\n  valid: present: question, info"),
        (b'{"questions": {}}', "'questions' is an object, expected a list"),
        (b'{"questions": []}', "'questions' is empty"),
    ],
)
def test_broken_files_raise_whatever_the_policy(split: Split, data: bytes, message: str, policy: Any) -> None:
    questions, annotations = split.write()
    questions.write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_official(questions, annotations, split.images, NAME, on_bad_sample=policy)
    assert message in str(caught.value)
    assert str(questions) in str(caught.value)


def test_missing_files(split: Split, tmp_path: Path) -> None:
    questions, annotations = split.write()
    with pytest.raises(UserError, match=r"file not found: .*/none.json"):
        read_official(tmp_path / "none.json", annotations, split.images, NAME)
    with pytest.raises(UserError, match=r"folder of images not found: .*/none"):
        read_official(questions, annotations, tmp_path / "none", NAME)
    index = read_official(questions, annotations, tmp_path / "none", NAME, check_images=False)
    assert len(index) == 3
    with pytest.raises(UserError, match="unknown on_bad_sample 'ignore'"):
        split.read(on_bad_sample="ignore")


def test_a_text_id_may_not_leave_the_folder(split: Split) -> None:
    split.questions[0]["image_id"] = "../secret"
    with pytest.raises(UserError, match=r"bad image path: '../secret.jpg' leaves the folder"):
        read_official(split.write()[0], None, split.images, "{image_id}.jpg", check_images=False)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real COCO data at {DATA}")
@pytest.mark.parametrize(("name", "questions", "images"), [("train", 552, 181), ("val", 21, 19)])
def test_real_data(name: str, questions: int, images: int) -> None:
    index = read_official(
        DATA / f"annotations/v2_OpenEnded_mscoco_{name}2014_questions.json",
        DATA / f"annotations/v2_mscoco_{name}2014_annotations.json",
        DATA / f"images/{name}2014",
        f"COCO_{name}2014_{{image_id:012d}}.jpg",
    )
    assert (len(index), index.num_images) == (questions, images)
    assert index.answer_counts == {10: questions}
    assert set(index.answer_types) <= {"yes/no", "number", "other"}
