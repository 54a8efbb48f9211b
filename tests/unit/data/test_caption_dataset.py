"""Batches of images with their captions: which captions, in which order, and the image once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from mmdl.batch import ImageTextBatch, contract_errors
from mmdl.data.caption_dataset import CaptionDataset, EpochRows, EpochSampler, chosen_captions
from mmdl.data.caption_index import CaptionIndex
from mmdl.data.sampler import GroupedBatchSampler

SIZES = (5, 1, 3, 5, 7, 2)
OFFSETS = np.concatenate([[0], np.cumsum(SIZES)]).astype(np.int64)


class Images:
    """An image's pixels are its row."""

    key = "k"

    def __len__(self) -> int:
        return len(SIZES)

    def __getitem__(self, rows: Any) -> Any:
        return torch.from_numpy(rows).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def dataset(captions_per_image: int | None = None, eval_captions: int | None = None, seed: int = 0) -> Any:
    captions = [[f"{image}-{number}" for number in range(size)] for image, size in enumerate(SIZES)]
    index = CaptionIndex(list(range(10, 16)), [""] * len(SIZES), captions)
    count = sum(SIZES)
    ids = torch.arange(count, dtype=torch.int32).view(-1, 1).repeat(1, 3)
    texts = (ids, torch.ones(count, 3, dtype=torch.bool), np.arange(count))
    image_ids = np.array([0, 1, 0, 3, 4, 5], dtype=np.int64)
    return CaptionDataset(index, Images(), texts, captions_per_image, eval_captions, image_ids, seed)


ROWS = np.array([4, 0, 2, 1], dtype=np.int64)


@pytest.mark.parametrize("count", [None, 1, 2, 5])
def test_a_batch(count: int | None) -> None:
    batch = dataset(count)[EpochRows(ROWS, 3)]
    assert contract_errors(batch, ImageTextBatch) == []
    assert batch["rows"].tolist() == ROWS.tolist()
    assert batch["image_ids"].tolist() == [4, 0, 0, 1]
    assert batch["images"][:, 0, 0, 0].tolist() == ROWS.tolist(), "each image once"
    image_of = np.repeat(np.arange(len(SIZES)), SIZES)
    own = ROWS[batch["image_index"].numpy()]
    assert image_of[batch["caption_rows"].numpy()].tolist() == own.tolist()
    assert batch["tokens"][:, 0].tolist() == batch["caption_rows"].tolist()
    assert batch["tokens"].dtype == torch.int64
    expected = {row: min(SIZES[row], count or 99) for row in ROWS.tolist()}
    assert Counter(own.tolist()) == expected
    assert len(set(batch["caption_rows"].tolist())) == sum(expected.values()), "without replacement"


def test_evaluation_takes_the_first_captions() -> None:
    batch = dataset(1)[ROWS]
    assert len(batch["caption_rows"]) == sum(SIZES[row] for row in ROWS)
    batch = dataset(1, eval_captions=2)[ROWS]
    assert batch["caption_rows"].tolist() == [14, 15, 0, 1, 6, 7, 5]


def test_the_choice_depends_on_seed_epoch_and_image_alone() -> None:
    every = np.arange(len(SIZES), dtype=np.int64)
    for epoch in range(4):
        together = chosen_captions(OFFSETS, every, 2, seed=1, epoch=epoch)
        alone = np.concatenate([chosen_captions(OFFSETS, every[i : i + 1], 2, 1, epoch) for i in every])
        assert together.tolist() == alone.tolist()
        turned = chosen_captions(OFFSETS, every[::-1].copy(), 2, 1, epoch)
        assert sorted(turned.tolist()) == together.tolist()
    epochs = {tuple(chosen_captions(OFFSETS, every, 2, 1, epoch).tolist()) for epoch in range(20)}
    seeds = {tuple(chosen_captions(OFFSETS, every, 2, seed, 0).tolist()) for seed in range(20)}
    assert len(epochs) > 15
    assert len(seeds) > 15


def test_every_caption_has_the_same_chance() -> None:
    offsets = np.arange(0, 5 * 401, 5)
    rows = np.arange(400, dtype=np.int64)
    counts = Counter(
        int(row) % 5 for epoch in range(50) for row in chosen_captions(offsets, rows, 1, seed=7, epoch=epoch)
    )
    expected = 400 * 50 / 5
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 18.5, (
        "chi-square, p = 0.001"
    )
    pairs = Counter(
        tuple((chosen_captions(offsets, rows[:1], 2, 0, epoch) % 5).tolist()) for epoch in range(3000)
    )
    assert len(pairs) == 10, "all pairs of five"
    assert max(pairs.values()) < 1.3 * min(pairs.values())


def walk(world: int, rank: int, start: tuple[int, int], epochs: int, count: int | None) -> list[Any]:
    """(epoch, image, captions) of a rank's batches, from a position on."""
    sampler = GroupedBatchSampler(
        np.arange(len(SIZES) + 1), 2, seed=3, group=False, rank=rank, world_size=world, start=start
    )
    batches = EpochSampler(sampler)
    data, seen = dataset(count, seed=3), []
    for epoch in range(start[0], epochs):
        batches.set_epoch(epoch)
        for item in batches:
            batch = data[item]
            seen.append([(epoch, row) for row in batch["rows"].tolist()] + batch["caption_rows"].tolist())
    return seen


@pytest.mark.parametrize("count", [None, 1, 2])
@pytest.mark.parametrize(("world", "steps"), [(1, 3), (2, 2), (3, 1)])
def test_a_resumed_walk_is_the_rest_of_the_whole_one(world: int, steps: int, count: int | None) -> None:
    for rank in range(world):
        whole = walk(world, rank, (0, 0), 4, count)
        assert len(whole) == 4 * steps
        for position in range(4 * steps):
            assert walk(world, rank, divmod(position, steps), 4, count) == whole[position:]


@pytest.mark.parametrize("count", [None, 1, 2])
@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_out_the_images_and_choose_the_same_captions(world: int, count: int | None) -> None:
    def pairs(walks: list[list[Any]]) -> set[Any]:
        flat = [entry for batch in (batch for one in walks for batch in one) for entry in batch]
        return {entry for entry in flat if isinstance(entry, tuple)}

    def captions(walks: list[list[Any]]) -> Counter[int]:
        return Counter(entry for one in walks for batch in one for entry in batch if isinstance(entry, int))

    whole = [walk(1, 0, (0, 0), 3, count)]
    shared = [walk(world, rank, (0, 0), 3, count) for rank in range(world)]
    assert pairs(shared) == pairs(whole)
    assert captions(shared) == captions(whole)


@pytest.mark.parametrize("workers", [1, 2])
def test_loader_processes_change_nothing(workers: int) -> None:
    from torch.utils.data import DataLoader

    def batches(number: int) -> list[Any]:
        sampler = EpochSampler(GroupedBatchSampler(np.arange(len(SIZES) + 1), 2, seed=3, group=False))
        loader = DataLoader(dataset(1), batch_size=None, sampler=sampler, num_workers=number)
        found = []
        for epoch in range(2):
            sampler.set_epoch(epoch)
            found += [batch["caption_rows"].tolist() for batch in loader]
        return found

    assert batches(workers) == batches(0)
    assert batches(0)[:3] != batches(0)[3:]
