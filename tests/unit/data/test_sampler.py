import numpy as np
import pytest

from mmdl.data.sampler import GroupedBatchSampler, grouped_order

OFFSETS = np.cumsum([0, 3, 1, 4, 2, 5, 1, 2])


def rows_of(sampler):
    return [batch.tolist() for batch in sampler]


def test_order_is_a_permutation_that_keeps_groups_together():
    order = grouped_order(OFFSETS, seed=3, epoch=1)
    assert sorted(order.tolist()) == list(range(18))
    group_of = np.searchsorted(OFFSETS, order, side="right")
    changes = int((np.diff(group_of) != 0).sum())
    assert changes == len(OFFSETS) - 2


def test_order_depends_on_seed_and_epoch_only():
    assert grouped_order(OFFSETS, 0, 1).tolist() == grouped_order(OFFSETS, 0, 1).tolist()
    assert grouped_order(OFFSETS, 0, 1).tolist() != grouped_order(OFFSETS, 0, 2).tolist()
    assert grouped_order(OFFSETS, 0, 1).tolist() != grouped_order(OFFSETS, 1, 1).tolist()


def test_ungrouped_order_is_a_permutation_of_rows():
    order = grouped_order(OFFSETS, 0, 0, group=False)
    assert sorted(order.tolist()) == list(range(18))
    assert order.tolist() != grouped_order(OFFSETS, 0, 0).tolist()


@pytest.mark.parametrize("start", range(6))
def test_starting_at_a_batch_equals_the_tail_of_the_whole_epoch(start):
    whole = rows_of(GroupedBatchSampler(OFFSETS, 3, seed=5, start=(2, 0)))
    resumed = GroupedBatchSampler(OFFSETS, 3, seed=5, start=(2, start))
    assert rows_of(resumed) == whole[start:]
    assert len(resumed) == len(whole)
    resumed.set_epoch(3)
    following = GroupedBatchSampler(OFFSETS, 3, seed=5)
    following.set_epoch(3)
    assert rows_of(resumed) == rows_of(following)


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_together_see_the_global_order(world_size):
    batch_size = 6 // world_size
    ranks = [
        rows_of(GroupedBatchSampler(OFFSETS, batch_size, seed=1, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    joined = [row for step in zip(*ranks, strict=True) for part in step for row in part]
    assert joined == grouped_order(OFFSETS, 1, 0).tolist()


@pytest.mark.parametrize("world_size", [2, 3, 4, 5])
def test_evaluation_sees_every_row_once_on_any_number_of_ranks(world_size):
    seen = [
        row
        for rank in range(world_size)
        for batch in GroupedBatchSampler(OFFSETS, 4, shuffle=False, rank=rank, world_size=world_size)
        for row in batch.tolist()
    ]
    assert sorted(seen) == list(range(18))


@pytest.mark.parametrize("world_size", [2, 3, 4, 5])
def test_evaluation_batches_are_the_same_on_any_number_of_ranks(world_size):
    ranks = [
        GroupedBatchSampler(OFFSETS, 4, shuffle=False, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    seen = sorted(batch.tolist() for rank in ranks for batch in rank)
    assert seen == rows_of(GroupedBatchSampler(OFFSETS, 4, shuffle=False))
    assert {len(rank) for rank in ranks} == {-(-5 // world_size)}


@pytest.mark.parametrize("world_size", [2, 3, 4])
@pytest.mark.parametrize("limit", [0, 9])
@pytest.mark.parametrize("even", [False, True])
def test_training_batches_are_those_of_one_process_also_with_fewer_rows_than_ranks(world_size, limit, even):
    offsets = np.arange(14)  # 13 rows in batches of 12: one row is left
    one = GroupedBatchSampler(offsets, 12, seed=1, limit=limit, even=even)
    ranks = [
        GroupedBatchSampler(
            offsets, 12 // world_size, seed=1, rank=r, world_size=world_size, limit=limit, even=even
        )
        for r in range(world_size)
    ]
    steps = list(zip(*ranks, strict=True))
    assert len(steps) == len(one) == 2
    for batch, (rows, parts) in enumerate(zip(one, steps, strict=True)):
        shares = [rank.share(batch) for rank in ranks]
        assert {joined for _, joined in shares} == {len(rows)}
        counted = [part[:own] for part, (own, _) in zip(parts, shares, strict=True)]
        assert np.concatenate(counted).tolist() == rows.tolist()
        assert all(len(part) == max(1, own) for part, (own, _) in zip(parts, shares, strict=True))
        assert set(np.concatenate(parts).tolist()) == set(rows.tolist())


def test_overfitting_repeats_the_same_first_batches():
    sampler = GroupedBatchSampler(OFFSETS, 4, limit=2)
    first = rows_of(sampler)
    sampler.set_epoch(7)
    assert rows_of(sampler) == first == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize(("rows", "batch_size"), [(10_000, 256), (9, 4), (3, 8), (8, 4)])
@pytest.mark.parametrize("world_size", [1, 2])
def test_even_batches_differ_by_one_row_at_most_and_miss_none(rows, batch_size, world_size):
    offsets = np.arange(rows + 1)
    ranks = [
        list(GroupedBatchSampler(offsets, batch_size, seed=3, rank=rank, world_size=world_size, even=True))
        for rank in range(world_size)
    ]
    sizes = [sum(len(part) for part in step) for step in zip(*ranks, strict=True)]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= batch_size * world_size
    seen = np.concatenate([part for own in ranks for part in own])
    assert sorted(seen.tolist()) == list(range(rows))


@pytest.mark.parametrize("even", [False, True])
def test_the_batch_of_a_place(even):
    sampler = GroupedBatchSampler(np.arange(11), 4, even=even)
    assert sampler.bounds.tolist() == ([0, 3, 6, 10] if even else [0, 4, 8, 10])
    assert [sampler.batch_at(int(place)) for place in sampler.bounds] == [0, 1, 2, 3]
    assert sampler.batch_at(5) == 1
