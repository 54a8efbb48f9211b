"""The data set of captioned images: maps an array of image rows to a whole batch with some captions of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from mmdl.batch import ImageTextBatch
from mmdl.data.augment.draws import Draws
from mmdl.data.cache import FeatureCache
from mmdl.data.caption_index import CaptionIndex
from mmdl.data.pixels import Pixels
from mmdl.data.sampler import GroupedBatchSampler, IntArray

_STREAM = 0x5CAB
"""Added to the seed: the choice of captions draws on other numbers than the augmentation of the same images."""


class EpochRows(NamedTuple):
    """Rows of a training batch with the epoch, on which the choice of captions depends.

    Attributes:
        rows: `(I,)` int64.
        epoch: Which epoch.
    """

    rows: IntArray
    epoch: int


class EpochSampler(Sampler[EpochRows]):
    """A sampler whose batches carry the epoch: loader processes have no other way to know it.

    Args:
        sampler: Gives the rows.
    """

    def __init__(self, sampler: GroupedBatchSampler) -> None:
        self.sampler = sampler

    def __len__(self) -> int:
        return len(self.sampler)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each."""
        self.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[EpochRows]:
        epoch = self.sampler.epoch
        for rows in self.sampler:
            yield EpochRows(rows, epoch)


def chosen_captions(offsets: IntArray, rows: IntArray, count: int | None, seed: int, epoch: int) -> IntArray:
    """Captions of some images, drawn without replacement: a function of (seed, epoch, image) alone.

    Args:
        offsets: `(I + 1,)` int64 caption rows of all images.
        rows: `(n,)` images.
        count: Captions of each image; an image with fewer gives all; None: all.
        seed: Of the run.
        epoch: Which epoch.

    Returns:
        `(T,)` int64 caption rows, grouped by image in the order of `rows`, rising within an image.

    >>> chosen_captions(np.array([0, 5, 6, 11]), np.array([2, 1]), 2, seed=0, epoch=0).tolist()
    [9, 10, 5]
    """
    first, sizes = offsets[rows], offsets[rows + 1] - offsets[rows]
    if count is None:
        return np.repeat(first - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))
    places = drawn_places(sizes, rows, count, seed, epoch)
    return (first[:, None] + places)[places < sizes[:, None]]


def drawn_places(sizes: IntArray, rows: IntArray, count: int, seed: int, epoch: int) -> IntArray:
    """Which of its captions are drawn for each image, without replacement.

    Args:
        sizes: `(n,)` captions of each image.
        rows: `(n,)` images.
        count: Captions of each.
        seed: Of the run.
        epoch: Which epoch.

    Returns:
        `(n, count or fewer)` places among its captions, rising; a number beyond them where an image has too few.
    """
    most = int(sizes.max(initial=1))
    keys = Draws(torch.from_numpy(rows), seed + _STREAM, epoch).uniform(most).numpy().copy()
    keys[np.arange(most) >= sizes[:, None]] = 2.0  # no such caption
    picked = np.sort(np.argsort(keys, axis=1, kind="stable")[:, :count], axis=1)
    return np.sort(np.where(picked < sizes[:, None], picked, most), axis=1)


class CaptionDataset(Dataset[ImageTextBatch]):
    """Maps an array of image rows, or `EpochRows`, to a whole `ImageTextBatch`.

    Args:
        index: The split.
        pixels: Its images.
        texts: Ids `(D, L)` and mask `(D, L)` of the distinct captions, and `(T,)` int64: which of them each caption is.
        captions_per_image: Captions of an image in a training batch, drawn anew each epoch; None: all.
        eval_captions: The first so many captions of each image where no epoch is given; None: all.
        image_ids: `(I,)` int64: equal for equal images.
        seed: Of the choice.
    """

    def __init__(
        self,
        index: CaptionIndex,
        pixels: Pixels,
        texts: tuple[Tensor, Tensor, IntArray],
        captions_per_image: int | None,
        eval_captions: int | None,
        image_ids: IntArray,
        seed: int,
    ) -> None:
        self.index = index
        self.pixels = pixels
        self.ids, self.mask, self.text_of = texts
        self.captions_per_image = captions_per_image
        self.eval_captions = eval_captions
        self.image_ids = image_ids
        self.seed = seed
        self.image_features: FeatureCache | None = None
        self.text_features: FeatureCache | None = None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.index)

    def caption_rows(self, item: IntArray | EpochRows) -> tuple[IntArray, IntArray]:
        """`(I,)` image rows and `(T,)` caption rows of a batch."""
        if isinstance(item, EpochRows):
            rows = item.rows
            return rows, chosen_captions(
                self.index.offsets, rows, self.captions_per_image, self.seed, item.epoch
            )
        captions = chosen_captions(self.index.offsets, item, None, 0, 0)
        if self.eval_captions is not None:
            place = captions - self.index.offsets[self.index.image_of[captions]]
            captions = captions[place < self.eval_captions]
        return item, captions

    def __getitem__(self, item: IntArray | EpochRows) -> ImageTextBatch:
        rows, captions = self.caption_rows(item)
        order = np.argsort(rows, kind="stable")
        image_index = order[np.searchsorted(rows, self.index.image_of[captions], sorter=order)]
        batch: dict[str, Any] = {
            "rows": torch.from_numpy(rows),
            "image_ids": torch.from_numpy(self.image_ids[rows]),
            "caption_rows": torch.from_numpy(captions),
            "image_index": torch.from_numpy(image_index),
        }
        if self.image_features is not None:
            batch["image_features"] = self.image_features[rows]["pooled"]
        else:
            batch["images"] = self.pixels[rows]
        texts = self.text_of[captions]
        if self.text_features is not None:
            batch["text_features"] = self.text_features[texts]["pooled"]
        else:
            batch["tokens"], batch["token_mask"] = self.ids[texts].long(), self.mask[texts]
        return batch  # type: ignore[return-value]
