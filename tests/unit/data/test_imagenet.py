"""ImageNet's layouts: folders of synsets, the flat validation folder with its label files, subsets."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdl.data.imagenet import ImageNetSource, imagenet, write_fixture
from mmdl.data.images import ImageDataModule
from mmdl.data.sources.imagenet import synset_names
from mmdl.errors import UserError

SYNSETS = ("n01440764", "n02102040", "n03028079")
NAMES = ("tench", "English springer", "church")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDL_DATA", str(tmp_path / "home"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_fixture(tmp_path / "imagenet")
    return tmp_path / "imagenet"


def module(root: Path, **options: Any) -> ImageDataModule:
    data = imagenet(**({"root": str(root), "image_size": 16, "val_share": 0.1} | options))
    data.prepare_data()
    data.setup()
    return data


def flatten(root: Path, below: str = "") -> dict[str, str]:
    """Move the validation images out of their folders; returns name -> synset, by name."""
    val = root / "val"
    synsets = {}
    (val / below).mkdir(exist_ok=True)
    for synset in SYNSETS:
        for path in (val / synset).iterdir():
            synsets[path.name] = synset
            path.rename(val / below / path.name)
        (val / synset).rmdir()
    return dict(sorted(synsets.items()))


def test_names_of_all_synsets() -> None:
    names = synset_names()
    assert len(names) == len(set(names.values())) == 1000
    assert [names[synset] for synset in SYNSETS] == list(NAMES)
    assert {name for name in names.values() if "crane" in name} == {"crane (n02012849)", "crane (n03126707)"}
    assert sorted(names)[0] == "n01440764"


def test_a_subset_is_said(root: Path) -> None:
    data = module(root)
    assert {name: len(ids) for name, ids in data.splits().items()} == {"train": 81, "val": 9, "test": 30}
    assert data.classes == NAMES
    assert all(id_.startswith("val/n") for id_ in data.splits()["test"])
    assert "a subset of ImageNet: 3 of 1,000 classes" in data.notes("test")
    train = data.dataset("train")
    assert [SYNSETS[label] for label in train.split.labels] == [id_.split("/")[1] for id_ in train.split.ids]


@pytest.mark.parametrize("place", ["", "ILSVRC/Data/CLS-LOC"])
def test_kaggles_layout(root: Path, place: str) -> None:
    if place:
        for name in ("train", "val"):
            shutil.move(root / name, root / place / name)
    wanted = flatten(root / place)
    rows = [
        f"{name.removesuffix('.JPEG')},{synset} 1 2 3 4 {synset} 5 6 7 8" for name, synset in wanted.items()
    ]
    (root / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *reversed(rows)]))
    check(module(root), wanted)


def check(data: ImageDataModule, wanted: dict[str, str]) -> None:
    test = data.dataset("test").split
    assert [Path(id_).name for id_ in test.ids] == list(wanted)
    assert [SYNSETS[label] for label in test.labels] == list(wanted.values())
    red = data.dataset("test")[np.arange(len(test))]["images"]
    assert red.shape == (30, 3, 16, 16)


def test_tiny_imagenets_layout(root: Path) -> None:
    for synset in SYNSETS:  # train/n01440764/images/*.JPEG
        (root / "train" / synset).rename(root / "images")
        (root / "train" / synset).mkdir()
        (root / "images").rename(root / "train" / synset / "images")
    wanted = flatten(root, "images")
    rows = [f"{name}\t{synset}\t0\t32\t44\t62" for name, synset in wanted.items()]
    (root / "val/val_annotations.txt").write_text("\n".join(rows) + "\n")
    check(module(root), wanted)


def test_a_synset_a_line(root: Path) -> None:
    wanted = flatten(root)
    (root / "imagenet_2012_validation_synset_labels.txt").write_text("\n".join(wanted.values()) + "\n")
    check(module(root), wanted)


@pytest.mark.parametrize("folder", ["", "ILSVRC2012_devkit_t12/data"])
def test_the_development_kit(root: Path, folder: str) -> None:
    """Its numbers don't follow the order of the synsets."""
    scipy_io = pytest.importorskip("scipy.io")
    wanted = flatten(root)
    numbers = {"n03028079": 1, "n01440764": 2, "n02102040": 3}
    (root / folder).mkdir(parents=True, exist_ok=True)
    table = np.array(
        [(number, synset, "words") for synset, number in numbers.items()],
        dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")],
    ).reshape(-1, 1)
    scipy_io.savemat(root / folder / "meta.mat", {"synsets": table})
    lines = "\n".join(str(numbers[synset]) for synset in wanted.values())
    truth = root / folder / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_text(lines + "\n")
    check(module(root), wanted)
    truth.write_text(lines + "\n1\n")
    with pytest.raises(UserError, match="has 31 labels, and there are 30 images"):
        module(root)
    truth.write_text(lines.replace("1", "7"))
    with pytest.raises(UserError, match="no development kit of ILSVRC 2012"):
        module(root)
    (root / folder / "meta.mat").write_bytes(b"hello")
    with pytest.raises(UserError, match="no development kit of ILSVRC 2012"):
        module(root)


def test_a_flat_folder_without_labels_says_how_to_sort_it(root: Path) -> None:
    flatten(root)
    with pytest.raises(UserError) as caught:
        module(root)
    text = str(caught.value)
    assert f"{root}/val holds 30 images and no folders of classes" in text
    for word in ("LOC_val_solution.csv", "ILSVRC2012_devkit_t12", "val/n01440764/*.JPEG"):
        assert word in text


def test_labels_that_miss_images(root: Path) -> None:
    wanted = flatten(root)
    rows = [f"{name} {synset}" for name, synset in list(wanted.items())[2:]]
    (root / "val_labels.txt").write_text("\n".join(rows))
    with pytest.raises(
        UserError, match=f"no label for 2 of 30 images, such as {Path(next(iter(wanted))).stem}"
    ):
        module(root)


def test_folders_that_are_no_synsets(root: Path) -> None:
    (root / "train/cat").mkdir()
    with pytest.raises(UserError, match="folders that are no synsets: cat") as caught:
        module(root)
    assert f"data=imagefolder data.root={root}" in caught.value.fix


def test_validation_images_of_other_synsets(root: Path) -> None:
    (root / "val" / SYNSETS[2]).rename(root / "val/n02123045")
    with pytest.raises(UserError) as caught:
        module(root)
    assert "the class 'n02123045' is in val (10 images) and not in train" in str(caught.value)
    assert "the class 'n03028079' is in train and has no images in val" in str(caught.value)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"there is no ImageNet in {tmp_path}/nothing") as caught:
        module(tmp_path / "nothing")
    assert "data=digits" in caught.value.valid


def test_the_official_validation_images_alone(root: Path) -> None:
    shutil.rmtree(root / "train")
    data = imagenet(root=str(root), image_size=16)
    data.prepare_data()
    data.setup(splits=["test"])
    assert (len(data.dataset("test")), data.classes) == (30, NAMES)


def test_no_call_to_the_file_system_for_each_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> Any:
        raise AssertionError(f"asked for {path}")

    monkeypatch.setattr("mmdl.data.image_files.file_stat", refuse)
    monkeypatch.setattr("mmdl.data.cache.file_stat", refuse)
    monkeypatch.setattr("mmdl.data.duplicates.MOST_FILES", 10)  # as with the whole set
    data = module(root, cache_pixels=False)
    assert data.fingerprints().keys() == {"train", "val", "test", "classes"}
    assert data.dataset("train")[np.arange(3)]["images"].shape == (3, 3, 16, 16)


def test_the_fingerprint_is_of_the_names(root: Path) -> None:
    before = ImageNetSource(str(root)).split("train").fingerprint()
    assert ImageNetSource(str(root)).split("train").fingerprint() == before
    Image.new("RGB", (9, 9)).save(root / "train" / SYNSETS[0] / "new.JPEG")
    assert ImageNetSource(str(root)).split("train").fingerprint() != before


def test_workers_decode_as_they_go(root: Path) -> None:
    data = module(root, cache_pixels=False, num_workers=2, batch_size=16)
    cached = module(root, batch_size=16)
    for one, other in zip(data.loader("train"), cached.loader("train"), strict=True):
        assert one["rows"].equal(other["rows"])
        assert one["images"].equal(other["images"])
