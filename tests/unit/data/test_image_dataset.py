"""Batches: gathering, channels, statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mmdl.data.image_dataset import (
    CHUNK,
    ImageDataset,
    JoinedPixels,
    MappedPixels,
    ResidentPixels,
    SelectedPixels,
    mean_and_std,
    statistics_of,
    with_channels,
)
from mmdl.data.image_split import ImageSplit

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 3, 6, 6), dtype=np.uint8)
ROWS = np.array([3, 19, 0, 3])


def test_all_kinds_of_pixels_give_the_same() -> None:
    wanted = torch.from_numpy(IMAGES[ROWS])
    half, rest = MappedPixels(IMAGES[:7]), ResidentPixels(torch.from_numpy(IMAGES[7:]))
    backwards = SelectedPixels(MappedPixels(IMAGES), np.arange(20)[::-1].copy())
    for pixels in (
        ResidentPixels(torch.from_numpy(IMAGES)),
        MappedPixels(IMAGES),
        JoinedPixels(half, rest),
        SelectedPixels(backwards, np.arange(20)[::-1].copy()),
    ):
        assert len(pixels) == 20
        assert torch.equal(pixels[ROWS], wanted)
        assert torch.equal(pixels[ROWS[:0]], wanted[:0])


def test_a_choice_of_a_choice_is_one_choice() -> None:
    twice = SelectedPixels(SelectedPixels(MappedPixels(IMAGES), np.array([5, 6, 7])), np.array([2, 0]))
    assert isinstance(twice.pixels, MappedPixels)
    assert twice.rows.tolist() == [7, 5]


def test_a_batch() -> None:
    split = ImageSplit([str(n) for n in range(20)], np.arange(20) % 3, ("a", "b", "c"), pixels=IMAGES)
    batch = ImageDataset(split, MappedPixels(IMAGES))[ROWS]
    assert batch["rows"].tolist() == ROWS.tolist()
    assert batch["labels"].tolist() == (ROWS % 3).tolist()
    assert torch.equal(batch["images"], torch.from_numpy(IMAGES[ROWS]))
    without = ImageSplit(split.ids, np.full(20, -1), split.classes, pixels=IMAGES)
    assert "labels" not in ImageDataset(without, MappedPixels(IMAGES))[ROWS]


def test_rgb_to_grey_is_pillows() -> None:
    noise = RNG.integers(0, 256, (40, 3, 50, 50), dtype=np.uint8)
    found = with_channels(torch.from_numpy(noise), 1)
    assert found.shape == (40, 1, 50, 50)
    for image, grey in zip(noise, found[:, 0].numpy(), strict=True):
        assert np.array_equal(grey, np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L")))


def test_grey_to_rgb_is_pillows() -> None:
    noise = torch.from_numpy(RNG.integers(0, 256, (2, 1, 5, 5), dtype=np.uint8))
    found = with_channels(noise, 3)
    wanted = np.asarray(Image.fromarray(noise[0, 0].numpy()).convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(found[0].numpy(), wanted)


@pytest.mark.parametrize("channels", [None, 3])
def test_channels_that_are_right_stay(channels: int | None) -> None:
    images = torch.from_numpy(IMAGES)
    assert with_channels(images, channels) is images


@pytest.mark.parametrize("count", [1, 7, CHUNK + 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_mean_and_deviation_are_numpys(count: int, channels: int) -> None:
    images = RNG.integers(0, 256, (count, channels, 4, 5), dtype=np.uint8)
    mean, std = mean_and_std(torch.from_numpy(images))
    scaled = images.astype(np.float64) / 255
    assert mean == pytest.approx(scaled.mean((0, 2, 3)), abs=5.1e-5)
    assert std == pytest.approx(scaled.std((0, 2, 3)), abs=5.1e-5)


def test_statistics_of_images_that_are_not_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    split = ImageSplit([str(n) for n in range(20)], np.zeros(20, dtype=np.int64), ("a",), pixels=IMAGES)
    resident = ImageDataset(split, ResidentPixels(torch.from_numpy(IMAGES)))
    assert statistics_of(resident) == mean_and_std(torch.from_numpy(IMAGES))
    mapped = ImageDataset(split, MappedPixels(IMAGES), channels=1)
    assert statistics_of(mapped) == mean_and_std(with_channels(torch.from_numpy(IMAGES), 1))
    monkeypatch.setattr("mmdl.data.image_dataset.STATISTICS_IMAGES", 3)
    spread = IMAGES[[0, 9, 19]]
    assert statistics_of(ImageDataset(split, MappedPixels(IMAGES))) == mean_and_std(torch.from_numpy(spread))


def test_the_deviation_of_one_colour_is_not_zero() -> None:
    assert mean_and_std(torch.full((3, 1, 2, 2), 51, dtype=torch.uint8)) == ([0.2], [round(1 / 255, 4)])
