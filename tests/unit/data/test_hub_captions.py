"""Captioned sets of the hub, by way of local Parquet files: downloaded and streamed give the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from mmdl.data.hub_captions import hub_captions, write_fixture
from mmdl.data.tokenizer.word import WordTokenizer
from mmdl.data.transforms.image import load_image
from mmdl.errors import UserError


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDL_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


def png(number: int) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


TEXTS = datasets.List(datasets.Value("string"))


def write(
    path: Path, images: list[int | bytes], captions: list[Any], kind: Any = TEXTS, **columns: Any
) -> str:
    encoded = [{"bytes": png(i) if isinstance(i, int) else i, "path": None} for i in images]
    features = {"image": datasets.Image(), "captions": kind} | {
        name: datasets.Value("string") for name in columns
    }
    given = {"image": encoded, "captions": captions} | columns
    datasets.Dataset.from_dict(given, features=datasets.Features(features)).to_parquet(path)
    return str(path)


def module(files: Any, **options: Any) -> Any:
    defaults = {"path": "parquet", "data_files": files, "image_size": 16, "tokenizer": WordTokenizer()}
    data = hub_captions(**(defaults | options))
    data.prepare_data()
    data.setup()
    return data


def pairs(data: Any, split: str) -> list[tuple[str, list[str]]]:
    index = data.indexes[split]
    bounds = zip(index.offsets, index.offsets[1:], strict=False)
    return [(i, index.captions[a:b]) for i, (a, b) in zip(index.image_ids, bounds, strict=True)]


@pytest.mark.parametrize("streaming", [False, True])
def test_lists_of_captions(streaming: bool, tmp_path: Path) -> None:
    train = write(tmp_path / "a.parquet", list(range(20)), [[f"a {n}", f"b {n}"] for n in range(20)])
    test = write(tmp_path / "b.parquet", [50, 51], [["x"], ["y", "z"]])
    data = module({"train": train, "test": test}, streaming=streaming, val_share=0.2)
    assert {split: len(index) for split, index in data.indexes.items()} == {"test": 2, "train": 16, "val": 4}
    assert pairs(data, "test") == [("test/0", ["x"]), ("test/1", ["y", "z"])]
    every = pairs(data, "train") + pairs(data, "val")
    assert sorted(every) == sorted((f"train/{n}", [f"a {n}", f"b {n}"]) for n in range(20))
    for split in ("train", "val"):
        rows = np.arange(len(data.indexes[split]))
        expected = [
            load_image(io.BytesIO(png(int(i.split("/")[1]))), 16, "squash") for i, _ in pairs(data, split)
        ]
        assert torch.equal(data.dataset(split).pixels[rows], torch.stack(expected))
    assert "the set has no val split: 4 of its 20 training images were held out" in data.notes("val")
    assert data.dataset("train").pixels.key != data.dataset("val").pixels.key


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_with_one_image_are_joined(streaming: bool, tmp_path: Path) -> None:
    images = [0, 1, 0, 2, 3, 4, 0, 5, 5]
    captions = ["a", "b", "c", "d", "e", "f", "g", "h", "h"]
    file = write(tmp_path / "a.parquet", images, captions, datasets.Value("string"))
    data = module({"train": file}, streaming=streaming)
    every = sorted(pair for split in ("train", "val", "test") for pair in pairs(data, split))
    assert every == [
        ("train/0", ["a", "c", "g"]),
        ("train/1", ["b"]),
        ("train/3", ["d"]),
        ("train/4", ["e"]),
        ("train/5", ["f"]),
        ("train/7", ["h"]),
    ]
    assert sum(data.marks()["joined_duplicates"].values()) == 1
    whole = {row: n for n, row in enumerate(images)}
    assert len(whole) == 6
    for split in ("train", "val", "test"):
        rows = np.arange(len(data.indexes[split]))
        wanted = [images[int(i.split("/")[1])] for i, _ in pairs(data, split)]
        expected = torch.stack([load_image(io.BytesIO(png(n)), 16, "squash") for n in wanted])
        assert torch.equal(data.dataset(split)[rows]["images"], expected)


def test_a_stream_that_was_read_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "a.parquet", list(range(10)), [[f"a {n}"] for n in range(10)])
    first = module({"train": file}, streaming=True)
    monkeypatch.setattr("mmdl.data.sources.hub_stream.open_hub", lambda *a, **k: 1 / 0)
    second = module({"train": file}, streaming=True)
    assert pairs(first, "train") == pairs(second, "train")
    assert len(module({"train": file}, limit=5).indexes["train"]) == 3


BAD: dict[str, tuple[Any, str, str]] = {
    "empty": ([" "], "row 3: empty caption", "empty caption"),
    "null inside": ([None], "row 3: wrong type: 'caption' is null", "wrong type"),
    "no caption": ([], "row 3: image without caption", "image without caption"),
    "null": (None, "row 3: image without caption", "image without caption"),
}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("case", BAD)
def test_bad_captions(case: str, streaming: bool, tmp_path: Path) -> None:
    value, named, reason = BAD[case]
    captions = [[f"a {n}"] if n != 3 else value for n in range(12)]
    file = write(tmp_path / "a.parquet", list(range(12)), captions)
    with pytest.raises(UserError, match=named):
        module({"train": file}, streaming=streaming)
    data = module({"train": file}, streaming=streaming, on_bad_sample="skip")
    assert data.skipped[reason] == 1
    assert sum(len(index) for index in data.indexes.values()) == 11


@pytest.mark.parametrize("streaming", [False, True])
def test_bad_images(streaming: bool, tmp_path: Path) -> None:
    images: list[int | bytes] = [0, 1, b"hello", *range(3, 12)]
    file = write(tmp_path / "a.parquet", images, [[f"a {n}"] for n in range(12)])
    with pytest.raises(UserError, match="train/2"):
        module({"train": file}, streaming=streaming)
    data = module({"train": file}, streaming=streaming, on_bad_sample="skip")
    assert data.skipped == {"not an image": 1}
    assert sum(len(index) for index in data.indexes.values()) == 11


def test_columns(tmp_path: Path) -> None:
    text = ["x"] * 10
    file = write(tmp_path / "a.parquet", list(range(10)), [["a"]] * 10, title=text, source=text)
    assert module({"train": file}).indexes["train"].captions[0] == "a"
    assert module({"train": file}, caption_column="title").indexes["train"].captions[0] == "x"
    with pytest.raises(UserError, match=r"data.caption_column=titel is no column"):
        module({"train": file}, caption_column="titel")
    with pytest.raises(UserError, match=r"data.caption_column=image holds"):
        module({"train": file}, caption_column="image")
    numbers = write(tmp_path / "b.parquet", list(range(10)), list(range(10)), datasets.Value("int64"))
    with pytest.raises(UserError, match="no column is known as the caption"):
        module({"train": numbers})


def test_wrong_settings() -> None:
    for key, value in (("test_share", 0), ("val_share", 1.0), ("limit", 0)):
        with pytest.raises(UserError, match=f"data.{key}={value}"):
            module({"train": "x"}, **{key: value})


def test_the_fixture(tmp_path: Path) -> None:
    keys = write_fixture(tmp_path)
    assert set(keys) == {"data.path", "data.data_files", "data.image_size"}
