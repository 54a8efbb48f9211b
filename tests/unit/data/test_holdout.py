"""Which images are trained on, validated on and tested on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmdl.data.bad_images import BadSamples
from mmdl.data.holdout import hold_out_test, hold_out_val
from mmdl.data.image_dataset import MappedPixels
from mmdl.data.image_files import PathFiles
from mmdl.data.image_split import ImageSplit
from mmdl.errors import UserError

BAD = [BadSamples("empty file", "a.jpg is empty")]


def whole(count: int = 100, classes: int = 5, prefix: str = "") -> ImageSplit:
    labels = np.arange(count) % classes
    pixels = np.arange(count, dtype=np.uint8)[:, None, None, None]
    ids = [f"{prefix}{row}" for row in range(count)]
    return ImageSplit(ids, labels, tuple("abcdefgh"[:classes]), pixels=pixels, bad=list(BAD), notes=("n",))


def test_a_test_split_is_held_out_once_for_all() -> None:
    parts, again = hold_out_test(whole(), 0.2), hold_out_test(whole(), 0.2)
    assert {name: len(part) for name, part in parts.items()} == {"train": 80, "test": 20}
    assert not set(parts["train"].ids) & set(parts["test"].ids)
    assert list(parts["test"].ids) == list(again["test"].ids)
    assert np.bincount(parts["test"].labels).tolist() == [4] * 5
    assert parts["train"].bad == BAD
    assert parts["test"].bad == []
    assert "20 of its 100 images were held out" in parts["test"].notes[-1]


def test_validation_is_held_out_of_train() -> None:
    splits, count = hold_out_val(whole(), None, share=0.1, seed=0)
    assert count == len(splits["val"]) == 10
    assert np.bincount(splits["val"].labels).tolist() == [2] * 5
    assert not set(splits["train"].ids) & set(splits["val"].ids)
    assert splits["train"].bad == BAD
    assert splits["val"].bad == []
    other, _ = hold_out_val(whole(), None, share=0.1, seed=1)
    assert list(other["val"].ids) != list(splits["val"].ids)


def test_a_validation_split_of_its_own_is_taken() -> None:
    splits, count = hold_out_val(whole(), whole(10, prefix="val/"), share=0.1, seed=0)
    assert count == 0
    assert len(splits["train"]) == 100
    assert len(splits["val"]) == 10


def test_training_on_validation_images() -> None:
    splits, count = hold_out_val(whole(), None, share=0.1, seed=0, train_on_val=True)
    assert (len(splits["train"]), len(splits["val"]), count) == (100, 10, 10)
    splits, _ = hold_out_val(whole(), whole(10, prefix="val/"), share=0.1, seed=0, train_on_val=True)
    assert list(splits["train"].ids[-10:]) == [f"val/{row}" for row in range(10)]
    assert splits["train"].labels[-10:].tolist() == splits["val"].labels.tolist()
    assert np.array_equal(splits["train"].pixels[-10:], splits["val"].pixels)
    assert splits["train"].bad == splits["val"].bad == BAD


def test_joined_files_and_mapped_pixels() -> None:
    def with_files(prefix: str, count: int) -> ImageSplit:
        names = [f"{prefix}{row}" for row in range(count)]
        return ImageSplit(names, np.arange(count) % 2, ("a", "b"), files=PathFiles(f"/{prefix}", names))

    splits, _ = hold_out_val(with_files("x", 6), with_files("y", 4), share=0.1, seed=0, train_on_val=True)
    files = splits["train"].files
    assert [files[0], files[6]] == ["/x/x0", "/y/y0"]

    def mapped(start: int, count: int) -> ImageSplit:
        array = np.arange(start, start + count, dtype=np.uint8)[:, None, None, None]
        ids = [str(row) for row in range(start, start + count)]
        return ImageSplit(ids, np.arange(count) % 2, ("a", "b"), decoded=MappedPixels(array), content="c")

    splits, _ = hold_out_val(mapped(0, 6), mapped(6, 4), share=0.1, seed=0, train_on_val=True)
    found = splits["train"].decoded[np.array([9, 0, 6, 5])]
    assert torch.equal(found.flatten(), torch.tensor([9, 0, 6, 5], dtype=torch.uint8))


@pytest.mark.parametrize("limit", [3, 5, 50, 89])
def test_fewer_training_images(limit: int) -> None:
    splits, _ = hold_out_val(whole(), None, share=0.1, seed=0, limit_train=limit)
    assert len(splits["train"]) == limit
    assert not set(splits["train"].ids) & set(splits["val"].ids)
    assert np.ptp(np.bincount(splits["train"].labels, minlength=5)) <= 1
    assert splits["train"].bad == BAD


@pytest.mark.parametrize("limit", [90, 1000, None])
def test_a_limit_beyond_what_is_there(limit: int | None) -> None:
    splits, _ = hold_out_val(whole(), None, share=0.1, seed=0, limit_train=limit)
    assert len(splits["train"]) == 90


@pytest.mark.parametrize(("count", "share"), [(8, 0.5), (100, 0.001), (5, 0.2)])
def test_too_few_images(count: int, share: float) -> None:
    with pytest.raises(UserError, match="are too few to hold") as caught:
        hold_out_val(whole(count), None, share=share, seed=0)
    assert "data.val_share" in str(caught.value)
    with pytest.raises(UserError, match=r"data\.test_share"):
        hold_out_test(whole(count), share)


def test_no_training_images() -> None:
    assert hold_out_val(None, None, share=0.1, seed=0).splits == {}
    assert set(hold_out_val(None, whole(), share=0.1, seed=0).splits) == {"val"}
