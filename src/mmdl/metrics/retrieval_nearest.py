"""The nearest items of each query, in the order that the ranks of retrieval are counted in."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mmdl.metrics.retrieval_ranks import CHUNK_ELEMENTS


class Nearest(NamedTuple):
    """What is nearest to `Q` queries.

    Attributes:
        items: `(Q, k)` int64 positions, the nearest first.
        similarities: `(Q, k)` float32; what is not a number is kept as it is.
        right: `(Q, k)` bool.
    """

    items: Tensor
    similarities: Tensor
    right: Tensor


def retrieval_nearest(
    queries: Tensor, items: Tensor, query_groups: Tensor, item_groups: Tensor, k: int
) -> Nearest:
    """The `k` nearest items of each query; among ties the wrong ones come first, as in `retrieval_ranks`.

    So the first item is right exactly where the rank is 0. A similarity that is not a number counts against the model:
    a wrong item that has it comes first, a right one last.

    Args:
        queries: `(Q, D)` float.
        items: `(N, D)` float, on the same device.
        query_groups: `(Q,)` int64: an item is right for a query of the same group.
        item_groups: `(N,)` int64.
        k: How many; at most `N` are given.

    >>> eye = torch.eye(3)
    >>> retrieval_nearest(eye, eye, torch.arange(3), torch.arange(3), 2).items[0].tolist()
    [0, 1]
    >>> retrieval_nearest(eye[:1], torch.ones(3, 3), torch.zeros(1), torch.tensor([0, 1, 2]), 3).items.tolist()
    [[1, 2, 0]]
    """
    size = max(1, CHUNK_ELEMENTS // max(1, len(items)))
    most = min(k, len(items))
    parts = [
        _nearest(part @ items.T, groups[:, None] == item_groups, most)  # (chunk, N) each
        for part, groups in zip(queries.split(size), query_groups.split(size), strict=True)
    ]
    return Nearest(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _nearest(scores: Tensor, right: Tensor, k: int) -> Nearest:
    """The best of the wrong and the best of the right ones, merged: ties are too many for one `topk` to order them."""
    found = []
    for of_right in (False, True):
        lost = -torch.inf if of_right else torch.inf
        kept = scores.nan_to_num(nan=lost, posinf=torch.inf, neginf=-torch.inf)
        found.append(kept.masked_fill_(right != of_right, -torch.inf).topk(k, dim=1))
    values = torch.cat([part.values for part in found], 1)  # (chunk, 2k), wrong ones first
    places = torch.cat([part.indices for part in found], 1)
    # an item that was masked stands in both halves: it counts in its own only
    own = right.gather(1, places) == (torch.arange(2 * k, device=places.device) >= k)
    order = values.sort(dim=1, descending=True, stable=True).indices
    own = own.gather(1, order).byte()
    order = order.gather(1, own.sort(dim=1, descending=True, stable=True).indices)[:, :k]
    chosen = places.gather(1, order)
    return Nearest(chosen, scores.gather(1, chosen).float(), right.gather(1, chosen))
