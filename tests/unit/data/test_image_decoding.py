"""From files to data sets: equal batches wherever the pixels are, bad files, sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdl.data import image_decoding
from mmdl.data.cache import PixelCache, PixelFiles
from mmdl.data.image_dataset import MappedPixels, ResidentPixels, SelectedPixels
from mmdl.data.image_decoding import ImageView, decoded_dataset, resized
from mmdl.data.image_files import PathFiles
from mmdl.data.image_split import ImageSplit
from mmdl.data.transforms.image import load_image
from mmdl.errors import UserError

ROWS = np.array([4, 0, 2])


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDL_DATA", str(tmp_path / "home"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(5):
        noise = rng.integers(0, 256, (30 + number, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "images" / f"{number}.png")
    return tmp_path / "images"


def split(folder: Path) -> ImageSplit:
    names = [f"{number}.png" for number in range(5)]
    return ImageSplit(names, np.arange(5) % 2, ("a", "b"), files=PathFiles(str(folder), names))


@pytest.mark.parametrize("channels", [None, 1])
@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_batches_are_equal_wherever_the_pixels_are(folder: Path, channels: int | None, resize: str) -> None:
    views = {
        ResidentPixels: ImageView(16, channels, resize),
        PixelCache: ImageView(16, channels, resize, on_device=False),
        PixelFiles: ImageView(16, channels, resize, cache_pixels=False),
    }
    wanted = torch.stack([load_image(folder / f"{row}.png", 16, resize) for row in ROWS])
    batches = []
    for kind, view in views.items():
        dataset, bad = decoded_dataset("train", split(folder), view)
        assert isinstance(dataset.pixels, kind)
        assert bad == []
        batches.append(dataset[ROWS])
    for batch in batches:
        assert torch.equal(batch["images"], batches[0]["images"])
        assert batch["labels"].tolist() == [0, 0, 0]
    if channels is None:
        assert torch.equal(batches[0]["images"], wanted)


def test_what_does_not_fit_stays_on_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_decoding, "available_memory", lambda: 5 * 3 * 16 * 16 / 0.4 - 1)
    dataset, _ = decoded_dataset("train", split(folder), ImageView(16))
    assert isinstance(dataset.pixels, PixelCache)
    dataset, _ = decoded_dataset("train", split(folder), ImageView(16, on_device=True))
    assert isinstance(dataset.pixels, ResidentPixels)


def test_bad_files_are_taken_out_and_named(folder: Path) -> None:
    (folder / "1.png").write_bytes(b"")
    (folder / "3.png").write_bytes(b"hello")
    good = [0, 2, 4]
    wanted = torch.stack([load_image(folder / f"{row}.png", 16) for row in good])
    for view, kind in (
        (ImageView(16), ResidentPixels),
        (ImageView(16, on_device=False), SelectedPixels),
        (ImageView(16, cache_pixels=False, find_bad=True), SelectedPixels),
    ):
        dataset, bad = decoded_dataset("train", split(folder), view)
        assert isinstance(dataset.pixels, kind)
        assert [samples.reason for samples in bad] == ["empty file", "not an image"]
        assert "1.png" in bad[0].message
        assert list(dataset.split.ids) == ["0.png", "2.png", "4.png"]
        assert torch.equal(dataset[np.arange(3)]["images"], wanted)
        assert dataset.labels.tolist() == [0, 0, 0]


def test_without_a_cache_a_bad_file_shows_when_it_is_read(folder: Path) -> None:
    (folder / "1.png").write_bytes(b"")
    dataset, bad = decoded_dataset("train", split(folder), ImageView(16, cache_pixels=False))
    assert bad == []
    with pytest.raises(UserError, match=r"1\.png': empty file"):
        dataset[np.array([1])]


def test_no_image_at_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"hello")
    with pytest.raises(UserError, match=r"none of the 5 train images can be used, such as: .*0\.png"):
        decoded_dataset("train", split(folder), ImageView(16))


def test_files_need_a_size(folder: Path) -> None:
    with pytest.raises(UserError, match="sizes of their own"):
        decoded_dataset("train", split(folder), ImageView(None))


def test_a_second_time_nothing_is_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = decoded_dataset("train", split(folder), ImageView(16))
    monkeypatch.setattr("mmdl.data.cache.load_image", None)
    second, _ = decoded_dataset("train", split(folder), ImageView(16))
    assert torch.equal(first[ROWS]["images"], second[ROWS]["images"])


def test_a_changed_file_is_decoded_again(folder: Path) -> None:
    first, _ = decoded_dataset("train", split(folder), ImageView(16))
    Image.new("RGB", (20, 20), (9, 9, 9)).save(folder / "2.png")
    second, _ = decoded_dataset("train", split(folder), ImageView(16))
    assert not torch.equal(first[ROWS]["images"], second[ROWS]["images"])
    assert set(second[np.array([2])]["images"].unique().tolist()) == {9}


def test_mapped_images() -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8), dtype=np.uint8)
    given = ImageSplit(list("abcde"), np.arange(5) % 2, ("a", "b"), decoded=MappedPixels(array), content="c")
    for view, kind in ((ImageView(8), ResidentPixels), (ImageView(8, on_device=False), MappedPixels)):
        dataset, _ = decoded_dataset("train", given, view)
        assert isinstance(dataset.pixels, kind)
        assert torch.equal(dataset[ROWS]["images"], torch.from_numpy(array[ROWS]))


@pytest.mark.parametrize("size", [8, 20, 48])
def test_arrays_are_resized_as_files_are(tmp_path: Path, size: int) -> None:
    """The filter is that of Pillow, so that `predict` on a file sees what training saw."""
    grid = np.add.outer(np.arange(32) * 5, np.arange(32) * 3).astype(np.uint8)
    image = np.stack([grid, grid[::-1], grid.T])
    Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / "a.png")
    found = resized(torch.from_numpy(image)[None], size)[0]
    difference = (found.int() - load_image(tmp_path / "a.png", size).int()).abs()
    assert int(difference.max()) <= 1
    same = torch.from_numpy(image)[None]
    assert resized(same, 32) is same
    assert resized(same, None) is same
