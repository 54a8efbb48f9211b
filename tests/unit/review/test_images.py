"""Reading the images of test items that a run folder keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmdl.review.images import item_image_notes, item_images


def run_with(folder: Path, images: Any, **facts: Any) -> Path:
    """A run folder with an index and one picture."""
    items = folder / "media" / "items"
    (items / "test").mkdir(parents=True)
    (items / "test" / "a.png").write_bytes(b"png")
    (items / "index.json").write_text(json.dumps({"version": 1, "images": images} | facts))
    return folder


def test_baselines_and_directions_share_the_images_of_the_split(tmp_path: Path) -> None:
    entry = {"file": "test/a.png", "width": 4, "height": 4}
    run = run_with(tmp_path / "run", {"test": {"a": entry}}, left_out={"test": 1234})
    path = run / "media" / "items" / "test" / "a.png"
    for name in ("test", "test_baseline_question_only", "test_text_to_image", "test_image_to_text"):
        assert item_images(run, name) == {"a": path}
    assert item_images(run, "val") == {}
    assert item_image_notes(run, "test")[0].startswith("1,234 images are not kept")
    path.unlink()
    assert item_images(run, "test") == {}
    assert item_image_notes(run, "test")[0] == "1 of 1 kept images are missing or damaged entries"


@pytest.mark.parametrize(
    "file",
    ["../../secret.png", "/etc/passwd", "test/../../../secret.png", "test/link.png", "test\0.png", "test", 7, None],
)  # fmt: skip
def test_files_outside_the_folder_are_refused(tmp_path: Path, file: object) -> None:
    run = run_with(tmp_path / "run", {"test": {"a": {"file": file}, "b": {"file": "test/a.png"}}})
    (run / "secret.png").write_bytes(b"png")
    (tmp_path / "secret.png").write_bytes(b"png")
    (run / "media" / "items" / "test" / "link.png").symlink_to(tmp_path / "secret.png")
    assert list(item_images(run, "test")) == ["b"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"images": []}', '{"images": {"test": [1]}, "left_out": 3}']
)
def test_a_damaged_index_gives_no_images(tmp_path: Path, content: str) -> None:
    run = run_with(tmp_path / "run", {})
    (run / "media" / "items" / "index.json").write_text(content)
    assert item_images(run, "test") == {}
    assert item_image_notes(run, "test") in ([], ["media/items/index.json is damaged"])


def test_without_an_index_that_is_said(tmp_path: Path) -> None:
    assert item_images(tmp_path, "test") == {}
    assert item_image_notes(tmp_path, "test") == ["the run keeps no images of its items"]


def test_images_of_the_probe_set_are_those_of_its_split(tmp_path: Path) -> None:
    run = run_with(
        tmp_path / "run", {"test": {"a": {"file": "test/a.png"}}, "val": {"b": {"file": "test/a.png"}}}
    )
    probe = run / "media" / "probe"
    (probe / "val").mkdir(parents=True)
    (probe / "val" / "c.png").write_bytes(b"png")
    entries = {"b": {"file": "val/c.png"}, "c": {"file": "val/c.png"}, "d": {"file": "../items/test/a.png"}}
    (probe / "index.json").write_text(json.dumps({"images": {"val": entries}}))
    own = run / "media" / "items" / "test" / "a.png"
    assert item_images(run, "val") == {"b": own, "c": probe / "val" / "c.png"}
    assert item_images(run, "test") == {"a": own}
