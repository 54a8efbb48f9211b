"""`cached_index`: what is kept, what makes a new key, and what happens to a damaged entry."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmdl.data.index_cache import cached_index
from mmdl.data.vqa_index import VQAIndex


class Builder:
    """Counts how often it had to build."""

    def __init__(self, skipped: dict[str, int] | None = None) -> None:
        self.calls = 0
        self.skipped = skipped

    def __call__(self) -> VQAIndex:
        self.calls += 1
        return VQAIndex.from_columns(
            question_ids=[1],
            image_ids=[2],
            image_paths=["a.jpg"],
            questions=["why?"],
            answers=[["so"]],
            question_types=["why"],
            answer_types=["other"],
            root="/",
            skipped=self.skipped,
        )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text("one")
    return path


def test_built_once_until_something_changes(source: Path, tmp_path: Path) -> None:
    build = Builder()

    def get(**options: object) -> VQAIndex:
        return cached_index([source, tmp_path / "absent"], build, tmp_path / "cache", options)

    assert get().fingerprint == get().fingerprint
    assert build.calls == 1
    get(on_bad_sample="skip")
    assert build.calls == 2
    source.write_text("other")
    get()
    assert build.calls == 3
    os.utime(source, ns=(1, 1))
    get()
    get()
    assert build.calls == 4


def test_a_damaged_entry_is_built_anew(source: Path, tmp_path: Path) -> None:
    build = Builder()
    cached_index([source], build, tmp_path / "cache")
    (entry,) = (tmp_path / "cache").iterdir()
    (entry / "questions/data-00000-of-00001.arrow").write_bytes(b"torn")
    assert cached_index([source], build, tmp_path / "cache").questions[0] == "why?"
    assert build.calls == 2
    cached_index([source], build, tmp_path / "cache")
    assert build.calls == 2


def test_a_folder_in_the_key_notices_new_files(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    os.utime(images, ns=(1, 1))
    build = Builder()
    cached_index([images], build, tmp_path / "cache")
    (images / "new.jpg").touch()
    cached_index([images], build, tmp_path / "cache")
    assert build.calls == 2


def test_missing_images_may_still_arrive(source: Path, tmp_path: Path) -> None:
    build = Builder({"missing image": 1})
    for _ in range(2):
        assert cached_index([source], build, tmp_path / "cache").skipped == {"missing image": 1}
    assert build.calls == 2


def test_a_faster_process_wins(source: Path, tmp_path: Path) -> None:
    slow, fast = Builder(), Builder()

    def race() -> VQAIndex:
        cached_index([source], fast, tmp_path / "cache")
        return slow()

    assert cached_index([source], race, tmp_path / "cache").questions[0] == "why?"
    assert (slow.calls, fast.calls) == (1, 1)
    assert len(list((tmp_path / "cache").iterdir())) == 1
