"""Which images of test items are kept."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmdl.data.item_pictures import ItemPictures
from mmdl.review.images import item_image_notes, item_images
from mmdl.runs.item_files import write_items
from mmdl.runs.item_images import keep_item_images, write_item_images
from mmdl.runs.media_limits import MediaLimits
from mmdl.runs.worst_items import worst_images

KEYS = [f"{row}.png" for row in range(100)]


class Pixels:
    """A hundred pictures, of which one can't be had."""

    def __init__(self, lost: int = -1) -> None:
        self.lost = lost

    def __getitem__(self, rows: Any) -> torch.Tensor:
        if self.lost in rows:
            raise OSError("gone")
        generator = torch.Generator().manual_seed(int(rows[0]))
        return torch.randint(0, 256, (len(rows), 3, 16, 16), generator=generator, dtype=torch.uint8)


class Data:
    """A data module with pictures."""

    def __init__(self, pictures: ItemPictures | None) -> None:
        self.found = pictures

    def pictures(self, split: str) -> ItemPictures | None:
        """Those of each split."""
        return self.found


def kept(folder: Path) -> list[str]:
    """Keys in the index."""
    return list(json.loads((folder / "index.json").read_text())["images"]["test"])


def test_the_fixed_part_is_spread_and_the_same_whatever_the_mistakes(tmp_path: Path) -> None:
    pictures = ItemPictures(KEYS, None, Pixels())
    limits = MediaLimits(items=12, mistakes=3)
    expected = [f"{row}.png" for row in np.linspace(0, 99, 12).astype(int).tolist()]
    for name, worst in (("a", []), ("b", ["1.png", "0.png", "2.png", "nowhere.png"])):
        write_item_images(tmp_path / name, "test", pictures, worst, limits)
        assert kept(tmp_path / name)[:12] == expected
    assert kept(tmp_path / "b")[12:] == ["1.png", "2.png"]
    index = json.loads((tmp_path / "b" / "index.json").read_text())
    assert index["left_out"] == {"test": 86}
    assert index["caps"] == limits._asdict()


def test_bytes_are_capped_with_room_left_for_mistakes(tmp_path: Path) -> None:
    pictures = ItemPictures(KEYS, None, Pixels())
    folder = tmp_path / "media" / "items"
    write_item_images(
        folder, "test", pictures, KEYS[-9:], MediaLimits(items=50, mistakes=25, megabytes=0.009)
    )
    found = item_images(tmp_path, "test")
    size = sum(path.stat().st_size for path in (folder / "test").iterdir())
    assert 5 < len(found) < 12
    assert 0.006e6 < size <= 0.009e6
    assert kept(folder)[-1] in KEYS[-9:]
    assert item_image_notes(tmp_path, "test")[0].startswith(f"{100 - len(found)} images are not kept")


def test_an_image_that_cannot_be_had_is_counted(tmp_path: Path) -> None:
    pictures = ItemPictures(KEYS, None, Pixels(lost=0))
    write_item_images(tmp_path, "test", pictures, [], MediaLimits(items=4))
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["unreadable"] == {"test": 1}
    assert index["left_out"] == {"test": 97}
    assert kept(tmp_path) == ["33.png", "66.png", "99.png"]


def test_the_worst_are_wrong_with_the_greatest_confidence(tmp_path: Path) -> None:
    def record(number: int, image: str, score: float | None, sure: float) -> dict[str, Any]:
        top = [{"answer": "x", "probability": sure}]
        return {"question_id": number, "image": image, "answers": [], "score": score, "top": top}

    records = [
        record(1, "right.png", 1.0, 0.99),
        record(2, "unsure.png", 0.0, 0.1),
        record(3, "sure.png", 0.0, 0.3),
        record(4, "sure.png", 0.3, 0.9),
        record(5, "unknown.png", None, 1.0),
    ]
    write_items(tmp_path / "test.jsonl", records, kind="vqa", split="test", metric="vqa_accuracy")
    assert worst_images(tmp_path, "test", 9) == ["sure.png", "unsure.png"]
    assert worst_images(tmp_path, "test", 1) == ["sure.png"]
    top = [{"image": "b", "similarity": 0.4, "right": False}]
    found = {"id": "a#0", "image": "a", "rank": 2, "hit": False, "top": top}
    write_items(tmp_path / "val_text_to_image.jsonl", [found], kind="retrieval", split="val", metric="x")
    assert worst_images(tmp_path, "val", 9) == ["a", "b"]


def test_a_run_does_not_fail_for_its_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("mmdl").propagate = True
    (tmp_path / "items").write_text("in the way")
    data: Any = Data(ItemPictures(KEYS, None, Pixels()))
    keep_item_images(tmp_path / "items", tmp_path, "test", data, "test", MediaLimits(items=2))
    assert "the images of test are not kept" in caplog.text
    keep_item_images(tmp_path / "none", tmp_path, "test", data, "test", MediaLimits(items=0, mistakes=0))
    nothing: Any = Data(None)
    keep_item_images(tmp_path / "none", tmp_path, "test", nothing, "test", MediaLimits())
    assert not (tmp_path / "none").exists()
