"""`ImageDataModule`: which images are trained on, what is measured, what is said, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmdl.batch import contract_errors
from mmdl.data.bad_images import MOST_LISTED, BadSamples
from mmdl.data.image_files import PathFiles
from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule
from mmdl.errors import UserError, UserErrors

CLASSES = ("a", "b", "c")


class Source:
    """Splits in memory; remembers which were asked for."""

    def __init__(self, **splits: ImageSplit) -> None:
        self.splits = splits
        self.asked: list[str] = []
        self.prepared = 0

    def prepare(self) -> None:
        self.prepared += 1

    def split(self, name: str) -> ImageSplit | None:
        self.asked.append(name)
        return self.splits.get(name)


def split(name: str, count: int, seed: int = 0, **changes: Any) -> ImageSplit:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)
    ids = [f"{name}/{row}" for row in range(count)]
    return ImageSplit(
        **({"ids": ids, "labels": np.arange(count) % 3, "classes": CLASSES, "pixels": pixels} | changes)
    )


def module(source: Source | None = None, **options: Any) -> ImageDataModule:
    data = ImageDataModule(source or Source(train=split("train", 90), test=split("test", 30, 1)), **options)
    data.prepare_data()
    data.setup()
    return data


def test_three_splits_apart() -> None:
    data = module()
    found = data.splits()
    assert {name: len(ids) for name, ids in found.items()} == {"train": 81, "val": 9, "test": 30}
    assert not found["train"] & found["val"]
    assert not (found["train"] | found["val"]) & found["test"]
    assert np.bincount(data.dataset("val").split.labels).tolist() == [3, 3, 3]
    batch = data.dataset("train")[np.arange(4)]
    assert contract_errors(batch, data.produces) == []
    assert data.classes == CLASSES


def test_the_seed_of_the_run_does_not_choose_the_images() -> None:
    one, other, resplit = module(seed=0), module(seed=1), module(split_seed=1)
    assert one.fingerprints() == other.fingerprints()
    orders = [[batch["rows"].tolist() for batch in data.loader("train")] for data in (one, other)]
    assert orders[0] != orders[1]
    assert resplit.fingerprints()["train"] != one.fingerprints()["train"]
    assert resplit.fingerprints()["test"] == one.fingerprints()["test"]


def test_a_second_setup_reads_nothing() -> None:
    data = module()
    asked = list(data.source.asked)
    data.setup()
    assert data.source.asked == asked
    assert sorted(asked) == ["test", "train", "val"]


def test_only_the_split_that_is_asked_for_is_read() -> None:
    data = ImageDataModule(Source(train=split("train", 90), test=split("test", 30)))
    data.setup(splits=["test"])
    assert data.source.asked == ["test"]
    assert data.splits().keys() == {"test"}


def test_mean_and_deviation_are_those_of_the_training_images() -> None:
    data = module()
    trained_on = data.dataset("train").split.pixels / 255
    facts = data.facts()
    assert facts["mean"] == pytest.approx(trained_on.mean((0, 2, 3)), abs=1e-4)
    assert facts["std"] == pytest.approx(trained_on.std((0, 2, 3)), abs=1e-4)
    other_test = Source(
        train=split("train", 90), test=split("test", 30, pixels=np.zeros((30, 3, 8, 8), np.uint8))
    )
    assert module(other_test).facts() == facts
    assert module(mean=[0.1, 0.2, 0.3]).facts() == facts | {"mean": [0.1, 0.2, 0.3]}
    assert {name: facts[name] for name in ("num_classes", "channels", "image_size")} == {
        "num_classes": 3,
        "channels": 3,
        "image_size": 8,
    }


def test_sizes_and_channels() -> None:
    data = module(image_size=16, channels=1)
    assert data.dataset("test")[np.arange(2)]["images"].shape == (2, 1, 16, 16)
    assert (data.facts()["channels"], data.facts()["image_size"], len(data.facts()["mean"])) == (1, 16, 1)
    wide = Source(train=split("train", 90, pixels=np.zeros((90, 3, 8, 6), np.uint8)))
    with pytest.raises(UserError, match="8 x 6 pixels"):
        module(wide).facts()


def test_fewer_training_images() -> None:
    data = module(limit_train=30)
    assert {name: len(ids) for name, ids in data.splits().items()} == {"train": 30, "val": 9, "test": 30}
    assert np.bincount(data.dataset("train").split.labels).tolist() == [10, 10, 10]


def test_training_on_validation_images_is_marked() -> None:
    data = module(train_on_val=True)
    assert data.splits()["train"] > data.splits()["val"]
    assert data.marks()["trained_on_val"] is True
    assert "trained on validation data" in data.notes("test")
    assert module().marks()["trained_on_val"] is False


def test_what_the_run_says() -> None:
    notes = ("not the official files",)
    data = module(Source(train=split("train", 90, notes=notes), test=split("test", 30)))
    lines = data.notes("test")
    assert "weights chosen on 9 images that were held out of train" in lines
    assert "no weight, setting or statistic comes from the test images" in lines
    assert lines.count(notes[0]) == 1
    assert data.marks()["data_notes"] == list(notes)
    assert not any("test images" in line for line in data.notes("val"))
    own_val = Source(train=split("train", 9), val=split("val", 9), test=split("test", 3))
    assert not any("held out" in line for line in module(own_val).notes("test"))


def test_the_fingerprints_change_with_the_content() -> None:
    changed = split("train", 90)
    changed.pixels[0, 0, 0, 0] ^= 1
    one, other = module(), module(Source(train=changed, test=split("test", 30, 1)))
    differing = {name for name, value in one.fingerprints().items() if other.fingerprints()[name] != value}
    assert differing in ({"train"}, {"val"})  # wherever that image went
    renamed = split("train", 90, classes=("a", "b", "d"))
    found = module(Source(train=renamed)).fingerprints()
    assert found["classes"] != one.fingerprints()["classes"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_share": 0}, r"data\.val_share=0"),
        ({"val_share": 1.0}, r"data\.val_share=1"),
        ({"val_share": 0.001}, "too few to hold 0 out"),
        ({"val_share": 0.99}, "too few to hold 89 out"),
        ({"channels": 2}, r"data\.channels=2"),
        ({"image_size": 0}, r"data\.image_size=0"),
        ({"limit_train": 0}, r"data\.limit_train=0"),
    ],
)
def test_bad_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        module(**options)


# -- classes --------------------------------------------------------------------------------------------------------


def test_classes_of_a_checkpoint() -> None:
    state = module().vocabularies()
    data = ImageDataModule(Source(test=split("test", 30)))
    data.load_vocabularies(state)
    data.setup(splits=["test"])
    assert data.classes == CLASSES


def test_classes_in_another_order_are_matched_by_name() -> None:
    state = module().vocabularies()
    other = split("test", 6, classes=("c", "a", "b"))
    data = ImageDataModule(Source(test=other))
    data.load_vocabularies(state)
    data.setup(splits=["test"])
    assert data.classes == CLASSES
    assert data.dataset("test").labels.tolist() == [2, 0, 1, 2, 0, 1]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("a", "b", "c", "d"), r"4 classes \(a, b, c, d\), and the run was trained on 3 .*; left over: d"),
        (("a", "x", "c"), r"3 classes .*; missing: b; left over: x"),
    ],
)
def test_other_classes_than_the_checkpoint(classes: tuple[str, ...], message: str) -> None:
    state = module().vocabularies()
    data = ImageDataModule(Source(test=split("test", 30, classes=classes)))
    data.load_vocabularies(state)
    with pytest.raises(UserError, match=message):
        data.setup(splits=["test"])


def test_splits_with_different_classes() -> None:
    with pytest.raises(UserError, match="another split of the data has 3"):
        module(Source(train=split("train", 90), test=split("test", 30, classes=("a", "b", "z"))))


def test_altered_and_foreign_vocabularies() -> None:
    state = module().vocabularies()
    with pytest.raises(UserError, match="do not match their hash"):
        ImageDataModule(Source()).load_vocabularies(state | {"classes": ["b", "a", "c"]})
    with pytest.raises(UserError, match="no run of image classification"):
        ImageDataModule(Source()).load_vocabularies({"answers": ["yes"]})


# -- bad samples ----------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """60 + 15 image files, three of which are bad, and two more bad things that the source found."""
    monkeypatch.setenv("MMDL_DATA", str(tmp_path / "home"))
    splits = {}
    for name, count in (("train", 60), ("test", 15)):
        (tmp_path / name).mkdir()
        names = [f"{name}/{row:02d}.png" for row in range(count)]
        for row, path in enumerate(names):
            Image.new("RGB", (10, 12), (row, 0, 0)).save(tmp_path / path)
        files = PathFiles(str(tmp_path), names)
        splits[name] = ImageSplit(names, np.arange(count) % 3, CLASSES, files=files)
    (tmp_path / "train/07.png").write_bytes(b"")
    (tmp_path / "train/09.png").write_bytes(b"no image")
    (tmp_path / "test/03.png").unlink()
    splits["train"].bad = [BadSamples("empty class", "the class 'd' has no images")]
    splits["test"].bad = [BadSamples("class not in train", "the class 'e' is not in train", 12)]
    return Source(**splits)


def test_all_that_is_bad_is_listed_at_once(files: Source) -> None:
    with pytest.raises(UserErrors) as caught:
        module(files, image_size=8)
    text = str(caught.value)
    assert "5 errors" in text
    for name in ("07.png", "09.png", "test/03.png", "class 'd' has no images", "class 'e' is not in train"):
        assert text.count(name) == 1, name
    assert "data.on_bad_sample=skip" in text


@pytest.mark.parametrize("options", [{}, {"on_device": False}, {"cache_pixels": False}])
def test_bad_samples_are_left_out_and_counted(files: Source, options: dict[str, Any]) -> None:
    data = module(files, image_size=8, on_bad_sample="skip", **options)
    counts = {"empty class": 1, "empty file": 1, "not an image": 1, "class not in train": 12, "missing": 1}
    assert data.skipped == data.marks()["skipped"] == counts
    sizes = {name: len(ids) for name, ids in data.splits().items()}
    assert (sizes["train"] + sizes["val"], sizes["test"]) == (58, 14)
    for name in ("train", "val", "test"):  # the pixels still belong to their ids
        dataset = data.dataset(name)
        red = dataset[np.arange(len(dataset))]["images"][:, 0, 0, 0].tolist()
        assert red == [int(id_[-6:-4]) for id_ in dataset.split.ids]


def test_a_long_list_is_cut_and_counted() -> None:
    bad = [BadSamples("empty class", f"the class '{n}' has no images") for n in range(MOST_LISTED + 3)]
    bad += [BadSamples("other", "something", 7)]
    with pytest.raises(UserErrors) as caught:
        module(Source(train=split("train", 90, bad=bad)))
    assert len(caught.value.errors) == MOST_LISTED + 1
    assert "and 4 more: 3 empty class, 7 other" in str(caught.value)


def test_copies_of_files_in_several_splits_are_told(files: Source, tmp_path: Path) -> None:
    for path in ("train/07.png", "train/09.png"):
        Image.new("RGB", (10, 12), (99, int(path[7]), int(path[6]))).save(tmp_path / path)
    (tmp_path / "test/03.png").write_bytes(b"")
    for found in files.splits.values():
        found.bad = []
    data = module(files, image_size=8, on_bad_sample="skip")
    # train/n and test/n are equal for n < 15
    assert any("images lie in more than one split" in line for line in data.notes("test"))
    count = int(next(line for line in data.notes("test") if "byte for byte" in line).split()[1])
    assert 12 <= count <= 14


# -- memory ---------------------------------------------------------------------------------------------------------


def test_a_device_without_an_accelerator_changes_nothing() -> None:
    data = module()
    before = data.dataset("train").pixels
    data.place(torch.device("cpu"))
    assert data.dataset("train").pixels is before
    assert not data.loads_on_device


def test_describe_names_the_images() -> None:
    data = module()
    ids = data.dataset("test").split.ids
    assert data.describe("test", np.array([1, 2])) == f"images {ids[1]}, {ids[2]}"
    assert data.describe("test", np.arange(8)).endswith(", ...")


def test_a_split_that_is_not_there() -> None:
    data = module(Source(train=split("train", 90)))
    with pytest.raises(UserError, match="no 'test' split"):
        data.dataset("test")
    empty = ImageDataModule(Source())
    empty.setup()
    assert empty.facts() == {}


def test_images_on_a_device_are_not_read_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    data = module(num_workers=2)
    assert data.loader("train").num_workers == 2
    monkeypatch.setattr(ImageDataModule, "loads_on_device", property(lambda self: True))
    assert data.loader("train").num_workers == 0
