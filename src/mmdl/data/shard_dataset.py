"""The data set of captioned images in shards: reads, decodes and tokenises a batch when it is asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from mmdl.batch import ImageTextBatch
from mmdl.data.cache import Resize
from mmdl.data.caption_dataset import EpochRows, drawn_places
from mmdl.data.readers.shard_captions import CAPTION_REASONS, BadCaptions
from mmdl.data.readers.tar_shard import LOST
from mmdl.data.sampler import IntArray
from mmdl.data.shard_index import LostSample, ShardIndex
from mmdl.data.shard_order import shard_order
from mmdl.data.transforms.image import BadImage, Reason, load_image
from mmdl.data.vqa_dataset import Tokenizer
from mmdl.errors import UserError

REASONS = (*get_args(Reason), *CAPTION_REASONS, LOST)
"""Why a sample may turn out not to be usable when it is read; position + 1 is what is kept of it."""

PLACES = 20
"""A caption's row is the row of its image times 2^20, and its place among the image's captions."""


class Sample(NamedTuple):
    """One sample as it was read.

    Attributes:
        row: Its row.
        image: `(3, H, W)` uint8.
        captions: At least one.
    """

    row: int
    image: Tensor
    captions: list[str]


class ShardView(NamedTuple):
    """How samples are read.

    Attributes:
        size: Height and width in pixels.
        resize: `squash`, `crop` or `pad`.
        captions_per_image: Captions of an image in a training batch, drawn anew each epoch; None: all.
        eval_captions: The first so many where no epoch is given; None: all.
        seed: Of the choice, and of the order.
        skip: Leave out what can't be used, and remember it.
    """

    size: int
    resize: Resize
    captions_per_image: int | None
    eval_captions: int | None
    seed: int
    skip: bool


class ShardDataset(Dataset[ImageTextBatch]):
    """Maps an array of rows, or `EpochRows`, to a whole `ImageTextBatch`.

    Images of equal pixels have equal `image_ids`, so that a repeated image is no negative of itself.

    Args:
        index: The split.
        tokenizer: Text to token ids.
        view: How samples are read.
    """

    def __init__(self, index: ShardIndex, tokenizer: Tokenizer, view: ShardView) -> None:
        self.index = index
        self.tokenizer = tokenizer
        self.view = view
        self._reasons = torch.zeros(len(index), dtype=torch.uint8).share_memory_()
        # ^ what loader processes find out reaches the training process; a sample is counted once, however often read
        self._pool: tuple[int, ThreadPoolExecutor] | None = None
        self._expected: tuple[int, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pool": None}

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.index)

    @property
    def reasons(self) -> Tensor:
        """`(N,)` uint8 in memory that processes share: 0, or 1 + the position in `REASONS` of what is wrong."""
        return self._reasons

    def join_ranks(self, device: torch.device) -> None:
        """Let every rank know what the others left out; a collective call.

        Args:
            device: Of the training, which the ranks talk through.
        """
        found = self._reasons.to(device)
        torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MAX)
        self._reasons.copy_(found)

    def skipped(self) -> dict[str, int]:
        """Samples that were left out while reading, by reason."""
        counts = torch.bincount(self._reasons.int(), minlength=len(REASONS) + 1)[1:].tolist()
        return {reason: count for reason, count in zip(REASONS, counts, strict=True) if count}

    def __getitem__(self, item: IntArray | EpochRows) -> ImageTextBatch:
        """The batch.

        Raises:
            UserError: A sample can't be used, and nothing is to be left out.
        """
        epoch = item.epoch if isinstance(item, EpochRows) else None
        rows = item.rows if isinstance(item, EpochRows) else item
        self._look_ahead(rows, epoch)
        samples = self._samples(rows)
        if not samples:
            samples = self._next_usable(int(rows[-1]))
        used = np.array([sample.row for sample in samples], dtype=np.int64)
        image_of, places = self._chosen(used, samples, epoch)
        texts = [
            samples[image].captions[place]
            for image, place in zip(image_of.tolist(), places.tolist(), strict=True)
        ]
        tokens, mask = self.tokenizer(texts)
        images = torch.stack([sample.image for sample in samples])
        return {
            "rows": torch.from_numpy(used),
            "image_ids": torch.tensor([_content(image) for image in images], dtype=torch.int64),
            "caption_rows": torch.from_numpy((used[image_of] << PLACES) + places),
            "image_index": torch.from_numpy(image_of),
            "images": images,
            "tokens": tokens,
            "token_mask": mask,
        }

    def _chosen(self, rows: IntArray, samples: list[Sample], epoch: int | None) -> tuple[IntArray, IntArray]:
        """`(T,)` image and place among its captions of each caption of the batch."""
        sizes = np.array([len(sample.captions) for sample in samples], dtype=np.int64)
        count = self.view.eval_captions if epoch is None else self.view.captions_per_image
        most = int(sizes.max())
        if count is None or epoch is None:
            places = np.tile(np.arange(min(most, count or most)), (len(rows), 1))
        else:
            places = drawn_places(sizes, rows, count, self.view.seed, epoch)
        there = places < sizes[:, None]
        return np.nonzero(there)[0].astype(np.int64), places[there].astype(np.int64)

    # -- reading ----------------------------------------------------------------------------------------------------

    def _samples(self, rows: IntArray) -> list[Sample]:
        """The usable samples, in the order of `rows`; read in the order in which they lie in the shards."""
        self.index.reach(rows)
        order = np.argsort(rows, kind="stable")
        found = dict(zip(order.tolist(), self._map(self._sample, rows[order].tolist()), strict=True))
        kept = (found[position] for position in range(len(rows)))
        return [sample for sample in kept if sample is not None]

    def _sample(self, row: int) -> Sample | None:
        """One sample; None where it can't be used and is to be left out."""
        try:
            captions = self.index.captions_of(row)
            image = load_image(self.index.image(row), self.view.size, self.view.resize)
        except (BadImage, BadCaptions, LostSample) as error:
            if not self.view.skip:
                raise
            self._reasons[row] = 1 + REASONS.index(error.reason)
            return None
        return Sample(row, image, captions)

    def _next_usable(self, row: int) -> list[Sample]:
        """The next usable sample of the index: a batch without any would end the training.

        Raises:
            UserError: There is none.
        """
        for step in range(1, len(self) + 1):
            sample = self._sample((row + step) % len(self))
            if sample is not None:
                return [sample]
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped().items())
        raise UserError(f"none of the {len(self):,} training samples can be used: {reasons}")

    def _map(self, function: Callable[[int], Sample | None], rows: list[int]) -> Iterator[Sample | None]:
        """The function of each row; in the training process by several threads, since decoding needs no lock."""
        if get_worker_info() is not None or len(rows) < 2:
            return map(function, rows)
        if (
            self._pool is None or self._pool[0] != os.getpid()
        ):  # a forked process has the object and no threads
            self._pool = os.getpid(), ThreadPoolExecutor(min(8, os.cpu_count() or 1))
        return self._pool[1].map(function, rows)

    def _look_ahead(self, rows: IntArray, epoch: int | None) -> None:
        """Tell the shards which of them are needed now and next."""
        window = self.index.window
        if epoch is None or window is None or not self.index.shards.remote:
            return
        order = shard_order(len(self.index.shards.names), self.view.seed, epoch)
        place = int(np.flatnonzero(order == self.index.shard_of(rows[-1:])[0])[0]) // window
        if (epoch, place) != self._expected:
            self._expected = (epoch, place)
            ahead = order[place * window : (place + 2) * window]
            sizes = np.diff(self.index.offsets)
            self.index.shards.expect([shard for shard in ahead.tolist() if sizes[shard]])


def _content(image: Tensor) -> int:
    """63 bits that are equal for equal pixels."""
    digest = hashlib.blake2b(image.numpy().tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
