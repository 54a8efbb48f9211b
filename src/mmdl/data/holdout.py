"""How validation images, and test images where a set has none, are held out of the training images."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mmdl.data.image_dataset import JoinedPixels
from mmdl.data.image_files import JoinedFiles
from mmdl.data.image_split import ImageSplit, stratified_holdout
from mmdl.errors import UserError

TEST_SEED = 0
"""Seed of which images are the test split: always the same, whatever `split_seed` is, so that figures compare."""


class HeldOut(NamedTuple):
    """Training and validation images.

    Attributes:
        splits: `train` and `val`, as far as there are some.
        held_out: How many of `val` were held out of train; 0 where it was a split of its own.
    """

    splits: dict[str, ImageSplit]
    held_out: int


def hold_out_test(whole: ImageSplit, share: float) -> dict[str, ImageSplit]:
    """A set without test images as `train` and `test`, the classes in the same proportions in both.

    Args:
        whole: All images.
        share: Of the images that are the test split.

    Raises:
        UserError: if a class would be left without a training image.
    """
    count = _count(whole, share, "data.test_share")
    rows, held_out = stratified_holdout(whole.labels, count, TEST_SEED)
    note = f"the set has no test split: {count:,} of its {len(whole):,} images were held out for it, always the same"
    parts = {"train": whole.select(rows), "test": whole.select(held_out)}
    parts["train"].bad = whole.bad
    parts["test"].notes = (*whole.notes, note)
    return parts


def hold_out_val(
    train: ImageSplit | None,
    val: ImageSplit | None,
    *,
    share: float,
    seed: int,
    limit_train: int | None = None,
    train_on_val: bool = False,
) -> HeldOut:
    """Training images, fewer if so asked, and validation images.

    Args:
        train: The set's training images.
        val: Its validation images; None holds some of the training images out.
        share: Of the training images that are held out.
        seed: Which.
        limit_train: Train on so many images only, the classes in the same proportions.
        train_on_val: Add the validation images to the training ones.

    Raises:
        UserError: if a class would be left without a training image.
    """
    count = 0
    if train is not None and val is None:
        whole, count = train, _count(train, share, "data.val_share")
        rows, held_out = stratified_holdout(whole.labels, count, seed)
        val = whole.select(held_out)
        train = whole if train_on_val else replace(whole.select(rows), bad=whole.bad)
    elif train is not None and val is not None and train_on_val:
        train = _joined(train, val)
    if train is not None and limit_train is not None and limit_train < len(train):
        _, rows = stratified_holdout(train.labels, limit_train, seed, keep=0)
        train = replace(train.select(rows), bad=train.bad)
    splits = {"train": train, "val": val}
    return HeldOut({name: split for name, split in splits.items() if split is not None}, count)


def _count(split: ImageSplit, share: float, key: str) -> int:
    """How many images a share is.

    Raises:
        UserError: if it is none, or more than leaves an image of each class.
    """
    count = round(share * len(split))
    classes = len(np.unique(split.labels))
    if not 0 < count <= len(split) - classes:
        raise UserError(
            f"{len(split):,} images in {classes:,} classes are too few to hold {count:,} out ({key}={share:g})",
            valid="at least one image to hold out, and one of each class to train on",
            fix=f"more images, or another {key}",
        )
    return count


def _joined(first: ImageSplit, second: ImageSplit) -> ImageSplit:
    """Both splits as one; what was left out of the second stays with it."""
    both = replace(
        first,
        ids=[*first.ids, *second.ids],
        labels=np.concatenate([first.labels, second.labels]),
        content=first.content + second.content,
        notes=tuple(dict.fromkeys(first.notes + second.notes)),
    )
    if first.pixels is not None and second.pixels is not None:
        both.pixels = np.concatenate([first.pixels, second.pixels])
    elif first.files is not None and second.files is not None:
        both.files = JoinedFiles(first.files, second.files)
    else:
        assert first.decoded is not None
        assert second.decoded is not None
        both.decoded = JoinedPixels(first.decoded, second.decoded)
    return both
