"""Rank of the best right item of each query, in chunks of bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 24
"""Similarities that are held at a time: 64 MiB."""


def retrieval_ranks(
    queries: Tensor, items: Tensor, query_groups: Tensor, item_groups: Tensor, chunk: int | None = None
) -> Tensor:
    """How many wrong items come before the first right one, for each query.

    A wrong item that is exactly as similar as the best right one counts as before it, so that a model that gives
    everything the same embedding scores nothing.

    Args:
        queries: `(Q, D)` float.
        items: `(N, D)` float.
        query_groups: `(Q,)` int64: an item is right for a query of the same group.
        item_groups: `(N,)` int64.
        chunk: Queries at a time; None takes as many as fit into `CHUNK_ELEMENTS` similarities.

    Returns:
        `(Q,)` int64 in [0, N); N where no item is right.

    >>> eye = torch.eye(3)
    >>> retrieval_ranks(eye, eye.flip(0), torch.arange(3), torch.arange(3)).tolist()
    [2, 0, 2]
    """
    size = chunk or max(1, CHUNK_ELEMENTS // max(1, len(items)))
    ranks = []
    for start in range(0, len(queries), size):
        part = slice(start, start + size)
        scores = queries[part] @ items.T  # (chunk, N)
        right = query_groups[part, None] == item_groups[None, :]  # (chunk, N)
        best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)  # (chunk, 1)
        ranks.append(((scores >= best) & ~right).sum(1))
        ranks[-1][~right.any(1)] = len(items)
    return torch.cat(ranks) if ranks else torch.empty(0, dtype=torch.int64)
