"""Folders of one's own: layouts, splits, and what is wrong with them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdl.data.imagefolder import FolderSource, imagefolder
from mmdl.data.images import ImageDataModule
from mmdl.errors import UserError


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDL_DATA", str(tmp_path / "home"))


def draw(folder: Path, count: int, start: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        # each with bytes of its own
        Image.new(
            "RGB", (8 + number % 3, 8), (number % 256, number // 256, sum(folder.name.encode()) % 256)
        ).save(folder / f"{number:03d}.png")


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """One tree: 30 cats, 20 dogs, 10 ants."""
    for number, (name, count) in enumerate((("cat", 30), ("dog", 20), ("ant", 10))):
        draw(tmp_path / "one" / name, count, 100 * number)
    return tmp_path / "one"


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    """Trees for train and test."""
    for number, (split, count) in enumerate((("train", 20), ("test", 5))):
        for label, name in enumerate(("cat", "dog")):
            draw(tmp_path / "trees" / split / name, count, 200 * number + 50 * label)
    return tmp_path / "trees"


def module(root: Path, **options: Any) -> ImageDataModule:
    data = imagefolder(**({"root": str(root), "image_size": 8} | options))
    data.prepare_data()
    data.setup()
    return data


def error(root: Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        module(root, **options)
    return str(caught.value)


def sizes(data: ImageDataModule) -> dict[str, int]:
    return {name: len(ids) for name, ids in data.splits().items()}


# -- layouts --------------------------------------------------------------------------------------------------------


def test_one_tree_is_split_in_proportion(one: Path) -> None:
    data = module(one)
    assert sizes(data) == {"train": 43, "val": 5, "test": 12}
    assert data.classes == ("ant", "cat", "dog")
    assert np.bincount(data.dataset("test").split.labels).tolist() == [2, 6, 4]
    assert "cat/000.png" in frozenset.union(*data.splits().values())
    assert any("has no test split: 12 of its 60 images" in line for line in data.notes("test"))
    assert module(one, split_seed=1, seed=2).splits()["test"] == data.splits()["test"]
    assert module(one, split_seed=1).splits()["val"] != data.splits()["val"]
    assert sizes(module(one, test_share=0.5))["test"] == 30


def test_trees_of_splits(trees: Path) -> None:
    data = module(trees)
    assert sizes(data) == {"train": 36, "val": 4, "test": 10}
    assert all(id_.startswith("test/") for id_ in data.splits()["test"])
    assert not any("has no test split" in line for line in data.notes("test"))


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_validation_tree(trees: Path, name: str) -> None:
    for label, class_ in enumerate(("cat", "dog")):
        draw(trees / name / class_, 3, 600 + 50 * label)
    data = module(trees)
    assert sizes(data) == {"train": 40, "val": 6, "test": 10}
    assert not any("held out" in line for line in data.notes("test"))
    assert sizes(module(trees, train_on_val=True)) == {"train": 46, "val": 6, "test": 10}


def test_a_test_tree_is_enough_to_evaluate(trees: Path) -> None:
    shutil.rmtree(trees / "train")
    data = imagefolder(root=str(trees), image_size=8)
    data.prepare_data()
    data.setup(splits=["test"])
    assert sizes(data) == {"test": 10}


def test_without_a_test_tree_there_is_none(trees: Path) -> None:
    shutil.rmtree(trees / "test")
    assert sizes(module(trees)) == {"train": 36, "val": 4}


def test_train_may_be_a_class(tmp_path: Path) -> None:
    for number, name in enumerate(("bus", "train", "car")):
        draw(tmp_path / "cars" / name, 10, 20 * number)
    assert module(tmp_path / "cars").classes == ("bus", "car", "train")


def test_nested_folders_belong_to_the_class(one: Path) -> None:
    draw(one / "cat" / "young" / "black", 5, 900)
    data = module(one)
    assert sum(sizes(data).values()) == 65
    assert "cat/young/black/900.png" in frozenset.union(*data.splits().values())


def test_real_photographs(real_data: Path) -> None:
    data = imagefolder(root=str(real_data / "cats-dogs"), image_size=32, resize="crop", limit_train=20)
    data.prepare_data()
    data.setup(splits=["test", "val"])
    assert sizes(data) == {"test": 100, "val": 40}
    assert data.classes == ("cat", "dog")


# -- what is wrong ---------------------------------------------------------------------------------------------------


def test_a_missing_root_names_its_neighbours(one: Path) -> None:
    text = error(one.parent / "onee")
    assert f"data.root={one.parent}/onee does not exist" in text
    assert "valid: one" in text


def test_a_root_that_is_a_file(one: Path) -> None:
    assert "is no folder" in error(one / "cat" / "000.png")


def test_no_classes(tmp_path: Path) -> None:
    draw(tmp_path / "flat", 5)
    assert f"there are no class folders in {tmp_path}/flat" in error(tmp_path / "flat")
    draw(tmp_path / "half/train/cat", 20)
    draw(tmp_path / "half/test", 5)
    assert f"there are no class folders in {tmp_path}/half/test" in error(tmp_path / "half")


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    (tmp_path / "empty" / "dog").mkdir()
    assert "there are no images in the 2 class folders" in error(tmp_path / "empty")


def test_an_empty_class(one: Path) -> None:
    (one / "bee").mkdir()
    assert "the class 'bee' has no images" in error(one)
    data = module(one, on_bad_sample="skip")
    assert data.classes == ("ant", "cat", "dog")
    assert data.skipped == {"empty class": 1}


def test_a_class_of_one_image(one: Path) -> None:
    draw(one / "bee", 1, 900)
    assert "the class 'bee' has one image only" in error(one)
    data = module(one, on_bad_sample="skip")
    assert data.classes == ("ant", "cat", "dog")
    assert data.skipped == {"class with one image": 1}
    assert sum(sizes(data).values()) == 60


def test_a_class_of_one_image_is_fine_where_nothing_is_held_out(trees: Path) -> None:
    for number, split in enumerate(("train", "val", "test")):
        for label, name in enumerate(("bee", *(("cat", "dog") if split == "val" else ()))):
            draw(trees / split / name, 1, 700 + 10 * number + label)
    assert module(trees).classes == ("bee", "cat", "dog")
    shutil.rmtree(trees / "val")
    text = error(trees)
    assert "the class 'bee' has one image only" in text
    assert "the class 'bee' is in test (1 images) and not in train" in text


def test_all_bad_files_are_listed_at_once(one: Path) -> None:
    (one / "cat/notes.txt").write_text("hello")
    (one / "dog/100.png").write_bytes(b"")
    (one / "dog/101.png").write_bytes((one / "dog/101.png").read_bytes()[:40])
    draw(one / "bee", 1, 900)
    text = error(one)
    for part in ("notes.txt is not an image", "100.png': empty file", "101.png': truncated", "class 'bee'"):
        assert part in text
    assert "4 errors" in text
    data = module(one, on_bad_sample="skip")
    assert data.skipped == {"not an image": 1, "empty file": 1, "truncated": 1, "class with one image": 1}
    assert sum(sizes(data).values()) == 58


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (("+test/bee",), ["the class 'bee' is in test (3 images) and not in train"]),
        (("-test/dog",), ["the class 'dog' is in train and has no images in test"]),
        (("-test/dog", "+test/doge"), ["'dog' is in train and has no", "'doge' is in test (3 images)"]),
    ],
)
def test_different_classes_in_train_and_test(
    trees: Path, change: tuple[str, ...], messages: list[str]
) -> None:
    for step in change:
        if step.startswith("-"):
            shutil.rmtree(trees / step[1:])
        else:
            draw(trees / step[1:], 3, 800)
    text = error(trees)
    for message in messages:
        assert message in text
    data = module(trees, on_bad_sample="skip")
    assert data.classes == ("cat", "dog")
    assert sizes(data)["test"] == (5 if "-test/dog" in change else 10)
    assert sum(data.skipped.values()) == sum(3 if step[0] == "+" else 1 for step in change)


def test_no_common_class(trees: Path) -> None:
    (trees / "test/cat").rename(trees / "test/x")
    (trees / "test/dog").rename(trees / "test/y")
    assert "no image of test is of a class of train: x, y" in error(trees, on_bad_sample="skip")


def test_two_folders_for_one_split(trees: Path) -> None:
    draw(trees / "val/cat", 2)
    draw(trees / "valid/cat", 2)
    assert "has val and valid, which are both the val split" in error(trees)


def test_folders_beside_the_splits(trees: Path) -> None:
    draw(trees / "extra", 2, 800)
    assert any(f"not used: extra in {trees}" in line for line in module(trees).notes("test"))
    shutil.rmtree(trees / "test")
    text = error(trees)
    assert f"{trees} has folders inside train, and beside it extra" in text
    assert f"data.root={trees}/train" in text


def test_links_in_a_circle(one: Path) -> None:
    (one / "cat/again").symlink_to(one)
    assert "cat/again is a link to a folder that it lies in" in error(one)
    data = module(one, on_bad_sample="skip")
    assert data.skipped == {"link in a circle": 1}
    assert sum(sizes(data).values()) == 60


def test_copies_in_train_and_test(trees: Path) -> None:
    for number in range(3):
        shutil.copy(trees / f"train/cat/{number:03d}.png", trees / f"test/cat/copy{number}.png")
    data = module(trees, val_share=0.1)
    [line] = [line for line in data.notes("test") if "more than one split" in line]
    assert line.startswith("warning: 3 images")
    assert line in data.marks()["data_notes"]
    assert not any(
        "more than one split" in line for line in module(trees.parent / "trees" / "train").notes("test")
    )


def test_an_unreadable_folder(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    scandir = os.scandir

    def refusing(place: Any) -> Any:
        if str(place).endswith("dog"):
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    for policy in ("raise", "skip"):
        assert f"the folder {one}/dog can't be read: Permission denied" in error(one, on_bad_sample=policy)


def test_the_listing_is_read_once(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = FolderSource(str(one))
    source.split("train")
    monkeypatch.setattr("mmdl.data.imagefolder.cached_class_folders", None)
    assert source.split("test") is not None
