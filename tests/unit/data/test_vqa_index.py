"""`VQAIndex`: grouping by image, hashes, selection, and what of a saved index is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from mmdl.data.vqa_index import DamagedIndex, VQAIndex
from mmdl.errors import UserError


def make(**changes: Any) -> VQAIndex:
    """Five questions over three images, interleaved."""
    columns: dict[str, Any] = {
        "question_ids": [50, 10, 40, 20, 30],
        "image_ids": [7, 3, 7, 5, 3],
        "image_paths": ["7.jpg", "3.jpg", "7.jpg", "5.jpg", "3.jpg"],
        "questions": ["a?", "b?", "c?", "d?", "é?"],
        "answers": [["x"] * 10, ["y"], [], ["z"], ["x", "y"]],
        "question_types": ["a", "b", "c", "d", "e"],
        "answer_types": ["other"] * 5,
        "root": "/images",
    }
    return VQAIndex.from_columns(**(columns | changes))


def test_questions_of_an_image_are_neighbours_in_file_order() -> None:
    index = make()
    assert len(index) == 5
    assert index.num_images == 3
    assert list(index.image_ids) == [7, 3, 5]
    assert list(index.question_ids) == [50, 40, 10, 30, 20]
    assert list(index.questions) == ["a?", "c?", "b?", "é?", "d?"]
    assert list(index.question_types) == ["a", "c", "b", "e", "d"]
    assert index.answers[0] == ["x"] * 10
    assert index.answers[1] == []
    assert index.answers[-1] == ["z"]
    assert index.image_of.tolist() == [0, 0, 1, 1, 2]
    assert index.image_of.dtype == index.image_offsets.dtype == np.int64
    assert index.image_offsets.tolist() == [0, 2, 4, 5]
    assert index.image_paths == ["/images/7.jpg", "/images/3.jpg", "/images/5.jpg"]


def test_absolute_paths_stay() -> None:
    paths = ["/other/7.jpg", "3.jpg", "/other/7.jpg", "5.jpg", "3.jpg"]
    assert make(image_paths=paths).image_paths[0] == "/other/7.jpg"


def test_columns_slice_and_take() -> None:
    index = make()
    assert index.questions[1:3] == ["c?", "b?"]
    assert index.questions.take(np.array([4, 0])) == ["d?", "a?"]
    assert "é?" in index.questions
    with pytest.raises(IndexError):
        index.questions[5]


def test_ids_are_strings_where_any_is() -> None:
    assert list(make(question_ids=["a", 10, 40, 20, 30]).question_ids) == ["a", "40", "10", "30", "20"]


def test_answer_counts() -> None:
    index = make()
    assert index.answer_counts == {0: 1, 1: 2, 2: 1, 10: 1}
    assert index.has_answers
    assert not make(answers=[[]] * 5).has_answers


def test_no_question_is_an_error() -> None:
    empty: dict[str, Any] = {
        name: []
        for name in (
            "question_ids",
            "image_ids",
            "image_paths",
            "questions",
            "answers",
            "question_types",
            "answer_types",
        )
    }
    with pytest.raises(UserError, match="no question"):
        make(**empty)


def test_fingerprint_covers_the_content_and_not_the_place() -> None:
    same = make(root="/elsewhere", skipped={"missing image": 1})
    assert same.fingerprint == make().fingerprint
    assert len(same.fingerprint) == 64
    changed = [
        make(question_ids=[51, 10, 40, 20, 30]),
        make(questions=["a", "?b?", "c?", "d?", "é?"]),
        make(answers=[["x"] * 10, [], ["y"], ["z"], ["x", "y"]]),
        make(answers=[["x"] * 10, ["y"], [], ["z"], ["xy", ""]]),
        make(answer_types=["other"] * 4 + ["number"]),
        make(image_paths=["7.png", "3.jpg", "7.png", "5.jpg", "3.jpg"]),
    ]
    assert len({index.fingerprint for index in [same, *changed]}) == 7


def test_select_images() -> None:
    part = make(skipped={"empty question": 2}).select_images([2, 0, 0])
    assert list(part.question_ids) == [50, 40, 20]
    assert list(part.image_ids) == [7, 5]
    assert part.image_of.tolist() == [0, 0, 1]
    assert part.image_offsets.tolist() == [0, 2, 3]
    assert part.answers[2] == ["z"]
    assert part.skipped == {"empty question": 2}
    assert part.fingerprint == make().select_images(np.array([0, 2])).fingerprint != make().fingerprint
    assert make().select_images(range(3)).fingerprint == make().fingerprint
    with pytest.raises(UserError, match="no image was selected"):
        make().select_images([])


def test_save_and_load(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    index = make(skipped={"empty question": 2})
    index.save(tmp_path / "index")
    again = VQAIndex.load(tmp_path / "index")
    assert list(again.answers) == list(index.answers)
    assert list(again.image_ids) == [7, 3, 5]
    assert again.image_paths == index.image_paths
    assert again.skipped == {"empty question": 2}
    assert again.fingerprint == index.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    assert datasets.load_from_disk(str(tmp_path / "index/questions"))["question"][1] == "c?"
    assert again.select_images([1]).questions[0] == "b?"
    assert capfd.readouterr().err == ""  # no progress bars


def test_damage_is_found(tmp_path: Path) -> None:
    def damaged(number: int, name: str, data: bytes | None) -> str:
        folder = tmp_path / str(number)
        make().save(folder)
        if data is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(data)
        with pytest.raises(DamagedIndex) as caught:
            VQAIndex.load(folder)
        return str(caught.value)

    arrow = "questions/data-00000-of-00001.arrow"
    assert "not the file that was written" in damaged(1, arrow, b"")
    assert "not the file that was written" in damaged(2, arrow, None)
    assert "not the file that was written" in damaged(3, "images/state.json", b"{}")
    assert "no complete index" in damaged(4, "index.json", None)
    assert "no complete index" in damaged(5, "index.json", b"{")
    assert "version 0" in damaged(
        6, "index.json", b'{"version": 0, "sha256": {}, "root": "", "skipped": {}, "fingerprint": ""}'
    )
