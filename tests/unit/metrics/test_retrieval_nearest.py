"""The nearest items of queries, against a plain sort."""

from __future__ import annotations

import pytest
import torch

from mmdl.metrics import retrieval_nearest as module
from mmdl.metrics.retrieval_nearest import retrieval_nearest
from mmdl.metrics.retrieval_ranks import retrieval_ranks


@pytest.mark.parametrize("chunk", [1 << 23, 40])
def test_it_is_a_sort_with_wrong_items_before_right_ones(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", chunk)
    generator = torch.Generator().manual_seed(0)
    # few distinct values: many ties
    queries = torch.randint(-1, 2, (30, 4), generator=generator).float()
    items = torch.randint(-1, 2, (20, 4), generator=generator).float()
    groups, item_groups = torch.arange(30) % 7, torch.arange(20) % 7
    found = retrieval_nearest(queries, items, groups, item_groups, 5)
    scores, right = queries @ items.T, groups[:, None] == item_groups
    for row in range(30):
        order = sorted(range(20), key=lambda n: (-float(scores[row, n]), bool(right[row, n])))[:5]
        assert [(float(scores[row, n]), bool(right[row, n])) for n in order] == list(
            zip(found.similarities[row].tolist(), found.right[row].tolist(), strict=True)
        )
        assert len(set(found.items[row].tolist())) == 5
        assert torch.equal(right[row, found.items[row]], found.right[row])
    ranks = retrieval_ranks(queries, items, groups, item_groups)
    assert torch.equal(ranks == 0, found.right[:, 0])
    assert torch.equal(ranks < 5, found.right.any(1))


def test_a_collapsed_model_finds_nothing_and_nan_counts_against_it() -> None:
    queries, items = torch.ones(2, 3), torch.ones(4, 3)
    items[1] = torch.nan
    found = retrieval_nearest(queries, items, torch.tensor([0, 1]), torch.tensor([0, 1, 2, 3]), 9)
    assert found.items[:, -1].tolist() == [0, 1]  # the right one comes last
    assert found.items[0, 0] == 1  # a wrong one without a number comes first
    assert sorted(found.items[1].tolist()) == [0, 1, 2, 3]
