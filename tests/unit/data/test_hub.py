"""Sets of the hub, by way of local Parquet files: downloaded and streamed give the same, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from mmdl.data.hub import hub, write_fixture
from mmdl.data.image_dataset import MappedPixels, ResidentPixels
from mmdl.data.images import ImageDataModule
from mmdl.data.transforms.image import load_image
from mmdl.errors import UserError, UserErrors

CLASSES = ["red", "green", "blue"]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDL_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


def png(number: int) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def write(path: Path, count: int = 30, start: int = 0, features: Any = None, **columns: Any) -> str:
    images = [{"bytes": png(start + n), "path": None} for n in range(count)]
    given = {"image": images, "label": [n % 3 for n in range(count)]} | columns
    given = {name: values for name, values in given.items() if values is not None}
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)} | (features or {})
    kinds = {name: kind for name, kind in kinds.items() if name in given}
    datasets.Dataset.from_dict(given, features=datasets.Features(kinds)).to_parquet(path)
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    return {
        "train": write(tmp_path / "train.parquet", 60),
        "test": write(tmp_path / "test.parquet", 15, 100),
    }


def build(files: Any, **options: Any) -> ImageDataModule:
    return hub(**({"path": "parquet", "data_files": files, "image_size": 16} | options))


def module(files: Any, **options: Any) -> ImageDataModule:
    data = build(files, **options)
    data.prepare_data()
    data.setup()
    return data


def error(files: Any, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        module(files, **options)
    return str(caught.value)


def sizes(data: ImageDataModule) -> dict[str, int]:
    return {name: len(ids) for name, ids in data.splits().items()}


@pytest.mark.parametrize("streaming", [False, True])
def test_splits_classes_and_pixels(files: dict[str, str], streaming: bool) -> None:
    data = module(files, streaming=streaming)
    assert sizes(data) == {"train": 54, "val": 6, "test": 15}
    assert data.classes == tuple(CLASSES)
    batch = data.dataset("test")[np.array([14, 3])]
    assert batch["labels"].tolist() == [2, 0]
    wanted = torch.stack([load_image(io.BytesIO(png(100 + n)), 16) for n in (14, 3)])
    assert torch.equal(batch["images"], wanted)
    assert data.marks()["data_notes"] == []


def test_a_stream_gives_the_same_batches_as_a_download(files: dict[str, str]) -> None:
    downloaded = module(files, batch_size=16)
    for options in ({}, {"on_device": False}):
        streamed = module(files, batch_size=16, streaming=True, **options)
        for split in ("train", "val", "test"):
            for one, other in zip(downloaded.loader(split), streamed.loader(split), strict=True):
                assert one["rows"].equal(other["rows"])
                assert one["images"].equal(other["images"])
                assert one["labels"].equal(other["labels"])
        assert streamed.splits() == downloaded.splits()
        assert streamed.facts() == downloaded.facts()


def test_a_stream_is_read_once_and_kept_without_files(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = module(files, streaming=True, on_device=False)
    assert isinstance(first.dataset("test").pixels, MappedPixels)
    kept = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert sorted(path.name for path in kept if path.suffix != ".lock") == [
        "done.json",
        "test.bin",
        "train.bin",
    ]
    assert next(path for path in kept if path.name == "train.bin").stat().st_size == 60 * 3 * 16 * 16
    assert not list((tmp_path / "hf").rglob("*.arrow"))
    monkeypatch.setattr(datasets, "load_dataset", None)
    second = module(files, streaming=True)
    assert isinstance(second.dataset("test").pixels, ResidentPixels)
    assert second.fingerprints() == first.fingerprints()


def test_other_files_are_another_stream(files: dict[str, str], tmp_path: Path) -> None:
    first = module(files, streaming=True)
    write(tmp_path / "test.parquet", 18, 300)
    second = module(files, streaming=True)
    assert sizes(second)["test"] == 18
    assert second.fingerprints()["test"] != first.fingerprints()["test"]
    assert second.fingerprints()["train"] == first.fingerprints()["train"]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_limit(files: dict[str, str], streaming: bool) -> None:
    data = module(files, streaming=streaming, limit=12, val_share=0.25)
    assert sizes(data) == {"train": 9, "val": 3, "test": 12}


def test_a_stream_that_is_sorted_says_which_classes_are_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "sorted.parquet", 60, label=[n // 20 for n in range(60)])
    data = module(path, streaming=True, limit=30)
    [line] = [line for line in data.notes("test") if "has no images" in line]
    assert "train has no images of 1 classes (blue)" in line
    assert "data.shuffle_buffer" in line
    mixed = module(path, streaming=True, limit=30, shuffle_buffer=60)
    assert not [line for line in mixed.notes("test") if "has no images" in line]
    assert module(path, streaming=True, limit=30, shuffle_buffer=60).fingerprints() == mixed.fingerprints()


@pytest.mark.parametrize("streaming", [False, True])
def test_bad_images(tmp_path: Path, streaming: bool) -> None:
    images = [{"bytes": png(n), "path": None} for n in range(30)]
    images[4] = {"bytes": b"", "path": None}
    images[7] = {"bytes": b"hello", "path": None}
    images[9] = {"bytes": png(9)[:50], "path": None}
    path = write(tmp_path / "a.parquet", image=images)
    with pytest.raises(UserErrors) as caught:
        module(path, streaming=streaming)
    text = str(caught.value)
    for part in ("train/4': empty file", "train/7': not an image", "train/9': truncated"):
        assert part in text
    data = module(path, streaming=streaming, on_bad_sample="skip")
    assert data.skipped == {"empty file": 1, "not an image": 1, "truncated": 1}
    ids = frozenset.union(*data.splits().values())
    assert len(ids) == 27
    assert not ids & {"train/4", "train/7", "train/9"}
    test = data.dataset("test")
    wanted = [load_image(io.BytesIO(png(int(id_.split("/")[1]))), 16) for id_ in test.split.ids]
    assert torch.equal(test[np.arange(len(test))]["images"], torch.stack(wanted))


@pytest.mark.parametrize("streaming", [False, True])
def test_without_test_images_some_are_held_out(files: dict[str, str], streaming: bool) -> None:
    data = module(files["train"], streaming=streaming)
    assert sizes(data) == {"train": 43, "val": 5, "test": 12}
    assert any("held out for it, always the same" in line for line in data.notes("test"))


def test_splits_by_other_names(tmp_path: Path) -> None:
    found = {
        name: write(tmp_path / f"{name}.parquet", 12, 50 * n)
        for n, name in enumerate(("training", "dev", "eval"))
    }
    assert sizes(module(found)) == {"train": 12, "val": 12, "test": 12}
    chosen = module(found, splits={"train": "dev", "test": "training"}, val_share=0.25)
    assert sizes(chosen) == {"train": 9, "val": 3, "test": 12}
    assert "no split 'devel'" in error(found, splits={"train": "devel"})
    assert "data.splits has tarin" in error(found, splits={"tarin": "dev"})
    assert "the set has no split 'train', but dev, eval" in error({n: found[n] for n in ("dev", "eval")})
    assert sizes(module({"whole": found["dev"]}, val_share=0.3))["train"] == 7


@pytest.mark.parametrize("streaming", [False, True])
def test_labels_that_are_texts_or_numbers(tmp_path: Path, streaming: bool) -> None:
    animals = ["dog", "cat"] * 15
    text = {"label": datasets.Value("string")}
    files = {
        "train": write(tmp_path / "a.parquet", label=animals, features=text),
        "test": write(tmp_path / "b.parquet", 3, 90, label=["cat", "cow", None], features=text),
    }
    assert "has no class of the set: 'cow'" in error(files, streaming=streaming)
    data = module(files, streaming=streaming, on_bad_sample="skip")
    assert data.classes == ("cat", "dog")
    assert data.skipped == {"no class": 2}
    assert data.dataset("test").labels.tolist() == [0]
    train = data.dataset("train").split
    assert [CLASS == "dog" for CLASS in (animals[int(i.split("/")[1])] for i in train.ids)] == list(
        train.labels == 1
    )
    number = {"label": datasets.Value("int64")}
    path = write(tmp_path / "c.parquet", label=[10 * (n % 3) for n in range(30)], features=number)
    assert module(path, streaming=streaming).classes == ("0", "10", "20")


def test_columns(tmp_path: Path) -> None:
    fine = {"fine": datasets.ClassLabel(names=list("abcdef")), "label": datasets.ClassLabel(names=CLASSES)}
    path = write(tmp_path / "a.parquet", fine=[n % 6 for n in range(30)], features=fine)
    text = error(path)
    assert "2 columns may be the label: label, fine" in text
    assert "data.label_column=label" in text
    assert module(path, label_column="fine").classes == tuple("abcdef")
    assert "data.label_column=fin is no column" in error(path, label_column="fin")
    assert "data.label_column=image holds" in error(path, label_column="image")
    many = {"label": datasets.List(datasets.ClassLabel(names=CLASSES))}
    path = write(tmp_path / "b.parquet", label=[[0, 1]] * 30, features=many)
    assert "no column is known as the label" in error(path)
    assert "one class an image" in error(path, label_column="label")


def test_files_that_another_program_wrote(tmp_path: Path) -> None:
    """Parquet without `datasets`' own description: bytes, and bytes with a path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = [n % 2 for n in range(20)]
    for name, images in (
        ("bytes", pa.array([png(n) for n in range(20)], type=pa.binary())),
        ("struct", pa.array([{"bytes": png(n), "path": f"{n}.png"} for n in range(20)])),
    ):
        pq.write_table(pa.table({"img": images, "label": labels}), tmp_path / f"{name}.parquet")
        for streaming in (False, True):
            data = module(str(tmp_path / f"{name}.parquet"), streaming=streaming)
            assert data.classes == ("0", "1")
            assert sum(sizes(data).values()) == 20


def test_a_split_without_references(files: dict[str, str], tmp_path: Path) -> None:
    files["validation"] = files["test"]
    files["test"] = write(tmp_path / "hidden.parquet", 9, 300, label=[-1] * 9)
    assert "the split 'test' of parquet has no references" in error(files)
    data = module(files, splits={"train": "train", "test": "validation"})
    assert sizes(data) == {"train": 54, "val": 6, "test": 15}


@pytest.mark.parametrize("streaming", [False, True])
def test_a_set_that_can_not_be_reached(streaming: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError) as caught:
        hub(path="someone/something", image_size=8, streaming=streaming).prepare_data()
    text = str(caught.value)
    assert "data.path=someone/something can't be reached" in text
    assert "data=imagefolder data.root=FOLDER" in text


@pytest.mark.parametrize("streaming", [False, True])
def test_files_that_are_not_there_or_no_data(tmp_path: Path, streaming: bool) -> None:
    assert "nothing.parquet" in error(str(tmp_path / "nothing.parquet"), streaming=streaming)
    (tmp_path / "text.parquet").write_text("hello" * 9)
    assert "Parquet magic bytes not found" in error(str(tmp_path / "text.parquet"), streaming=streaming)


def test_no_code_and_no_pickles(tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    marker = tmp_path / "ran"
    (tmp_path / "evil/evil.py").write_text(f"open({str(marker)!r}, 'w')")
    with pytest.raises(UserError):
        hub(path=str(tmp_path / "evil"), image_size=8).prepare_data()
    with pytest.raises(UserError):
        hub(path=str(tmp_path / "evil/evil.py"), image_size=8).prepare_data()
    assert not marker.exists()
    with pytest.raises(UserError, match="reads pickles"):
        hub(path="pandas", data_files="a.pkl", image_size=8).prepare_data()


def test_a_stream_needs_a_size(files: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"data\.image_size=null"):
        build(files, streaming=True, image_size=None)


def test_a_stream_that_breaks_off_leaves_nothing(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(samples: Any) -> Any:
        yield from [list(samples)[:10]]
        raise ConnectionError("the line is dead")

    with monkeypatch.context() as patch:
        patch.setattr("mmdl.data.sources.hub_stream._parts", broken)
        assert "the stream of 'train' broke off after 10 images: the line is dead" in error(
            files, streaming=True
        )
    assert not list((tmp_path / "home").rglob("*.bin"))
    assert sizes(module(files, streaming=True))["train"] == 54


def test_a_full_disk(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmdl.data.disk.shutil.disk_usage", lambda _: type("U", (), {"free": 1 << 20})())
    assert "not enough space for the pixels of train" in error(files, streaming=True, limit=60)


def test_the_fingerprint_is_that_of_the_content(files: dict[str, str], tmp_path: Path) -> None:
    first = module(files).fingerprints()
    write(tmp_path / "copy.parquet", 60)
    assert module({"train": str(tmp_path / "copy.parquet"), "test": files["test"]}).fingerprints() == first
    images = [{"bytes": png(n) + b"more", "path": None} for n in range(60)]
    write(tmp_path / "other.parquet", 60, image=images)
    other = module({"train": str(tmp_path / "other.parquet"), "test": files["test"]}).fingerprints()
    assert other["train"] != first["train"]
    assert other["test"] == first["test"]


def test_a_local_folder_of_images(tmp_path: Path) -> None:
    for number in range(20):
        folder = tmp_path / "images" / "train" / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(png(number))
    for streaming in (False, True):
        data = hub(path="imagefolder", data_dir=str(tmp_path / "images"), image_size=16, streaming=streaming)
        data.prepare_data()
        data.setup()
        assert data.classes == ("cat", "dog")
        assert sum(sizes(data).values()) == 20


def test_the_fixture(tmp_path: Path) -> None:
    overrides = write_fixture(tmp_path / "fixture")
    files = dict(part.split(": ") for part in overrides["data.data_files"].strip("{}").split(", "))
    data = module(files, image_size=int(overrides["data.image_size"]))
    assert sizes(data) == {"train": 54, "val": 6, "test": 30}
    assert json.dumps(data.facts())


def test_a_full_disk_is_not_said_to_be_a_wrong_path(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device", "hub.arrow")

    monkeypatch.setattr(datasets, "load_dataset", full)
    with pytest.raises(OSError, match="No space left") as caught:
        module(files)
    assert caught.value.filename == "hub.arrow"
