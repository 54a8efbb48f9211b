"""Karpathy's split file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmdl.data.readers.karpathy_split import KarpathySplit
from mmdl.errors import UserError

SPLITS = ("train", "restval", "val", "test", "train")


def document() -> dict[str, Any]:
    return {
        "dataset": "coco",
        "images": [
            {
                "filepath": "val2014",
                "filename": f"{number}.jpg",
                "cocoid": 100 + number,
                "split": split,
                "sentences": [
                    {"raw": f"{word} of {number}", "sentid": 10 * number + k} for k, word in enumerate("ab")
                ],
            }
            for number, split in enumerate(SPLITS)
        ],
    }


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    """Write a document and open it."""
    for number in range(len(SPLITS)):
        (tmp_path / f"{number}.jpg").touch()

    def run(content: Any, **options: Any) -> Any:
        (tmp_path / "dataset_coco.json").write_text(json.dumps(content))
        return KarpathySplit(
            tmp_path / "dataset_coco.json", lambda entry: (tmp_path, entry["filename"]), **options
        )

    return run


def test_splits(opened: Any, tmp_path: Path) -> None:
    split = opened(document())
    assert split.index(["train"]).image_ids == [100, 104]
    whole = split.index(["train", "restval"])
    assert whole.image_ids == [100, 101, 104]
    assert whole.captions == ["a of 0", "b of 0", "a of 1", "b of 1", "a of 4", "b of 4"]
    assert whole.image_paths[0] == str(tmp_path / "0.jpg")
    assert split.index(["val"]).image_ids == [102]
    assert split.index(["test"]).image_ids == [103]


BAD = {
    "no split": (lambda i: i[0].pop("split"), r"images\[0\]: missing key: no 'split'"),
    "unknown split": (lambda i: i[0].update(split="trian"), r"images\[0\]: unknown split: 'trian'"),
    "no sentences": (lambda i: i[0].pop("sentences"), r"images\[0\]: missing key: no 'sentences'"),
    "sentences no list": (lambda i: i[0].update(sentences="x"), "'sentences' is a string"),
    "empty list": (lambda i: i[0].update(sentences=[]), "image without caption: image 100"),
    "sentence no object": (
        lambda i: i[4]["sentences"].append("x"),
        r"images\[4\].sentences\[2\]: wrong type",
    ),
    "empty sentence": (
        lambda i: i[0]["sentences"][1].update(raw=" "),
        r"images\[0\].sentences\[1\]: empty caption",
    ),
    "no id": (lambda i: i[0].pop("cocoid"), r"images\[0\]: missing key: no 'cocoid'"),
    "no file name": (lambda i: i[0].pop("filename"), r"images\[0\]: missing key: no 'filename'"),
    "outside": (lambda i: i[0].update(filename="../0.jpg"), r"images\[0\]: bad image path"),
    "missing image": (lambda i: i[0].update(filename="x.jpg"), r"images\[0\]: missing image"),
    "one id for two files": (lambda i: i[4].update(cocoid=100), r"images\[4\]: duplicate image id: 100"),
    "no object": (lambda i: i.append(3), r"images\[5\]: wrong type"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_entry_is_named_or_left_out_and_counted(case: str, opened: Any) -> None:
    change, named = BAD[case]
    content = document()
    change(content["images"])
    with pytest.raises(UserError, match=named):
        opened(content).index(["train", "restval"])
    split = opened(content, on_bad_sample="skip")
    assert sum(split.index(["train", "restval"]).skipped.values()) == 1
    assert split.index(["test"]).skipped == {}, "each is counted once"


def test_a_split_without_images(opened: Any) -> None:
    content = document()
    content["images"] = content["images"][:1]
    with pytest.raises(UserError, match="no image of test") as caught:
        opened(content).index(["test"])
    assert caught.value.valid == "train 1"


def test_another_file(opened: Any) -> None:
    with pytest.raises(UserError, match="no key 'images'"):
        opened({"annotations": []})
