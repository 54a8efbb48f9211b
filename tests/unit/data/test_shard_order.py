import numpy as np
import pytest

from mmdl.data.shard_order import shard_order, windowed_order

OFFSETS = np.cumsum([0, 5, 0, 7, 3, 9, 4, 6])


@pytest.mark.parametrize("window", [1, 2, 3, 100, None])
def test_a_permutation_that_depends_on_seed_and_epoch_only(window):
    order = windowed_order(OFFSETS, 3, 1, window)
    assert sorted(order.tolist()) == list(range(34))
    assert order.tolist() == windowed_order(OFFSETS, 3, 1, window).tolist()
    assert order.tolist() != windowed_order(OFFSETS, 3, 2, window).tolist()
    assert order.tolist() != windowed_order(OFFSETS, 4, 1, window).tolist()


@pytest.mark.parametrize("window", [1, 2, 3])
def test_only_so_many_shards_are_read_at_a_time(window):
    order = windowed_order(OFFSETS, 0, 5, window)
    shards = shard_order(7, 0, 5)
    first = 0
    for place in range(0, 7, window):
        own = set(shards[place : place + window].tolist())
        count = sum(int(OFFSETS[s + 1] - OFFSETS[s]) for s in own)
        rows = order[first : first + count]
        assert set((np.searchsorted(OFFSETS, rows, side="right") - 1).tolist()) <= own
        first += count
    assert first == 34


def test_samples_of_neighbouring_shards_are_mixed():
    offsets = np.arange(0, 5 * 200, 200)
    order = windowed_order(offsets, 0, 0, 2)
    half = (order[:400] // 200)[:200]
    counts = np.unique(half, return_counts=True)[1]
    assert len(counts) == 2
    assert counts.min() > 60


def test_no_sample_at_all():
    assert windowed_order(np.array([0]), 0, 0, 2).tolist() == []
