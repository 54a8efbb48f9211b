"""COCO captions as a data set: which images are in which split."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmdl.data.coco_captions import CocoCaptionSource, coco_captions, write_fixture
from mmdl.data.tokenizer.word import WordTokenizer
from mmdl.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_fixture(tmp_path_factory.mktemp("coco"))["data.root"])


def module(root: Path, **options: Any) -> Any:
    data = coco_captions(str(root), tokenizer=WordTokenizer(), image_size=16, **options)
    data.prepare_data()
    data.setup()
    return data


def test_official_splits(root: Path) -> None:
    data = module(root)
    ids = {split: set(index.image_ids) for split, index in data.indexes.items()}
    official = {
        split: {entry["id"] for entry in json.loads(file.read_text())["images"]}
        for split in ("train", "val")
        for file in [root / "annotations" / f"captions_{split}2014.json"]
    }
    assert ids["test"] == official["val"]
    assert ids["train"] | ids["val"] == official["train"]
    assert not ids["train"] & ids["val"]
    assert len(ids["val"]) == 2, "a tenth of a small set at most"
    assert data.notes("test") == ["the test split is the official val2014"]
    assert "2 of the 24 images of train2014 are held out (data.split_seed=0)" in data.notes("val")[0]
    assert any("split        the test split is the official" in line for line in data.cautions())


def test_which_images_are_held_out_depends_on_the_split_seed_only(root: Path) -> None:
    held = [
        module(root, **options).indexes["val"].image_ids for options in ({}, {"seed": 5}, {"split_seed": 1})
    ]
    assert held[0] == held[1] != held[2]


def karpathy(root: Path, file: Path) -> dict[str, list[int]]:
    """A split file over the images of a folder; returns split -> ids."""
    images: list[dict[str, Any]] = []
    for name in ("train2014", "val2014"):
        document = json.loads((root / "annotations" / f"captions_{name}.json").read_text())
        for entry in document["images"]:
            raw = [a["caption"] for a in document["annotations"] if a["image_id"] == entry["id"]]
            split = "train" if name == "train2014" else ("restval", "val", "test")[len(images) % 3]
            images.append(
                {
                    "filepath": name,
                    "filename": entry["file_name"],
                    "cocoid": entry["id"],
                    "split": split,
                    "sentences": [{"raw": text, "sentid": n} for n, text in enumerate(raw)],
                }
            )
    file.write_text(json.dumps({"images": images}))
    splits = ("train", "restval", "val", "test")
    return {split: [i["cocoid"] for i in images if i["split"] == split] for split in splits}


@pytest.fixture
def with_karpathy(root: Path, tmp_path: Path) -> Any:
    shutil.copytree(root, tmp_path / "coco")
    return tmp_path / "coco", karpathy(root, tmp_path / "coco/annotations/dataset_coco.json")


def test_karpathys_splits_are_used_where_the_file_lies_there(with_karpathy: Any) -> None:
    root, splits = with_karpathy
    data = module(root)
    assert data.indexes["train"].image_ids == splits["train"] + splits["restval"]
    assert data.indexes["val"].image_ids == splits["val"]
    assert data.indexes["test"].image_ids == splits["test"]
    assert "the splits are Karpathy's" in data.notes("test")[0]
    assert "train is train and restval" in data.notes("test")[0]
    data = module(root, restval_in_train=False)
    assert data.indexes["train"].image_ids == splits["train"]
    assert module(root, karpathy=False).notes("test") == ["the test split is the official val2014"]


def test_karpathys_file_anywhere(root: Path, tmp_path: Path) -> None:
    splits = karpathy(root, tmp_path / "k.json")
    assert module(root, karpathy=str(tmp_path / "k.json")).indexes["test"].image_ids == splits["test"]
    with pytest.raises(UserError, match="there is no file") as caught:
        module(root, karpathy=str(tmp_path / "none.json"))
    assert "data prepare coco --karpathy" in caught.value.fix


def test_karpathys_split_of_the_release_of_2017(with_karpathy: Any, tmp_path: Path) -> None:
    root, splits = with_karpathy
    new = tmp_path / "new"
    places = {}
    for name in ("train2017", "val2017"):
        (new / name).mkdir(parents=True)
    for number, path in enumerate(sorted((root / "images").rglob("*.jpg"))):
        folder = "val2017" if number % 5 == 0 else "train2017"
        name = path.name.rpartition("_")[2]
        places[int(name[:-4])] = new / folder / name
        shutil.copy(path, new / folder / name)
    shutil.copy(root / "annotations/dataset_coco.json", new)
    data = module(new, year=2017)
    index = data.indexes["train"]
    assert index.image_ids == splits["train"] + splits["restval"]
    assert [Path(path) for path in index.image_paths] == [places[image] for image in index.image_ids]


def test_the_release_of_2017(root: Path, tmp_path: Path) -> None:
    for split, count in (("train", 12), ("val", 3)):
        folder = tmp_path / "images" / f"{split}2017"
        folder.mkdir(parents=True)
        entries = []
        for number in range(count):
            name = f"{1000 * (split == 'val') + number:012d}.jpg"
            Image.new("RGB", (20, 30), (number, 0, 0)).save(folder / name)
            entries.append({"id": int(name[:-4]), "file_name": name})
        captions = [{"id": e["id"], "image_id": e["id"], "caption": f"number {e['id']}"} for e in entries]
        file = tmp_path / "annotations" / f"captions_{split}2017.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"images": entries, "annotations": captions}))
    data = module(tmp_path, year=2017)
    assert {split: len(index) for split, index in data.indexes.items()} == {"train": 11, "val": 1, "test": 3}
    with pytest.raises(UserError, match=r"COCO 2014 is not complete"):
        module(tmp_path)


def test_limit_images(root: Path) -> None:
    data = module(root, limit_images=4)
    assert {split: len(index) for split, index in data.indexes.items()} == {"train": 3, "val": 1, "test": 4}


def test_a_part_of_the_images(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "part")
    gone = sorted((tmp_path / "part/images/train2014").iterdir())[:5]
    for path in gone:
        path.unlink()
    with pytest.raises(UserError, match=r"5 bad samples(.|\n)*missing image") as caught:
        module(tmp_path / "part")
    assert str(gone[0]) in str(caught.value)
    data = module(tmp_path / "part", on_bad_sample="skip")
    assert data.skipped == {"missing image": 5}
    assert len(data.indexes["train"]) + len(data.indexes["val"]) == 19


def test_a_split_whose_files_are_not_there(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "part")
    shutil.rmtree(tmp_path / "part/images/train2014")
    source = CocoCaptionSource(str(tmp_path / "part"))
    source.prepare()
    index = source.index("test")
    assert index is not None
    with pytest.raises(UserError, match=r"train2014 not found"):
        source.index("train")


@pytest.mark.parametrize(("key", "value"), [("year", 2015), ("val_images", 0), ("limit_images", -1)])
def test_wrong_settings(key: str, value: int, root: Path) -> None:
    with pytest.raises(UserError, match=f"data.{key}={value}"):
        module(root, **{key: value})


def test_the_real_sample(real_data: Path) -> None:
    data = module(real_data / "coco")
    assert {split: len(index) for split, index in data.indexes.items()} == {
        "train": 21,
        "val": 2,
        "test": 139,
    }
    assert {split: len(index.captions) for split, index in data.indexes.items()} == {
        "train": 105,
        "val": 10,
        "test": 695,
    }
    batch = data.dataset("train")[data.offsets("train")[:5]]
    assert batch["images"].shape == (5, 3, 16, 16)
    assert batch["tokens"].shape == (25, 24)
