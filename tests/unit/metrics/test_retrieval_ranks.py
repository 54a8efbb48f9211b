"""Ranks of the best right item: against a plain loop, with ties, and in bounded memory."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmdl.metrics import retrieval_ranks as module
from mmdl.metrics.retrieval_ranks import retrieval_ranks


def _by_loop(queries, items, groups, item_groups):
    ranks = []
    for query, group in zip(queries, groups.tolist(), strict=True):
        scores = (items @ query).tolist()
        right = [s for s, g in zip(scores, item_groups.tolist(), strict=True) if g == group]
        wrong = [s for s, g in zip(scores, item_groups.tolist(), strict=True) if g != group]
        ranks.append(sum(s >= max(right) for s in wrong) if right else len(items))
    return ranks


@pytest.mark.parametrize("chunk", [None, 1, 7, 1000])
def test_equals_a_loop(chunk):
    generator = torch.Generator().manual_seed(0)
    queries = torch.randint(
        -3, 4, (60, 5), generator=generator
    ).double()  # whole numbers: ties, and exact sums
    items = torch.randint(-3, 4, (45, 5), generator=generator).double()
    groups, item_groups = torch.arange(60) // 3, torch.randint(0, 18, (45,), generator=generator)
    found = retrieval_ranks(queries, items, groups, item_groups, chunk)
    assert found.tolist() == _by_loop(queries, items, groups, item_groups)
    assert (found == 45).any(), "a query without a right item"


def test_ties_count_against_the_model():
    collapsed = torch.ones(6, 4, dtype=torch.float64)
    assert retrieval_ranks(collapsed, collapsed, torch.arange(6), torch.arange(6)).tolist() == [5] * 6
    # two right items and four wrong ones, all equal
    assert (
        retrieval_ranks(collapsed, collapsed, torch.arange(6) // 2, torch.arange(6) // 2).tolist() == [4] * 6
    )


def test_what_is_not_a_number_is_worst():
    items = torch.eye(4)
    items[2] = torch.nan
    ranks = retrieval_ranks(torch.eye(4), items, torch.arange(4), torch.arange(4))
    assert ranks.tolist() == [1, 1, 3, 1]
    assert retrieval_ranks(
        torch.full((2, 4), torch.nan), torch.eye(4), *[torch.arange(n) for n in (2, 4)]
    ).tolist() == [
        3,
        3,
    ]


class _Peak(TorchDispatchMode):
    """The largest tensor that any operation makes."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.largest = max(self.largest, math.prod(out.shape))
        return out


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 5000)
    queries, items = torch.randn(400, 3), torch.randn(300, 3)
    with _Peak() as peak:
        ranks = retrieval_ranks(queries, items, torch.arange(400) % 300, torch.arange(300))
    assert 4000 < peak.largest <= 5000  # of 120,000 pairs
    assert (
        ranks.tolist()
        == retrieval_ranks(queries, items, torch.arange(400) % 300, torch.arange(300), 400).tolist()
    )


def test_no_query():
    assert retrieval_ranks(torch.empty(0, 3), torch.eye(3), torch.empty(0), torch.arange(3)).tolist() == []
