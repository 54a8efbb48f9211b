"""Rank of the best right item of each query, in chunks of bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 23
"""Similarities that are held at a time: 32 MiB, a copy, and a few masks of a quarter of that."""


def retrieval_ranks(
    queries: Tensor, items: Tensor, query_groups: Tensor, item_groups: Tensor, chunk: int | None = None
) -> Tensor:
    """How many wrong items come before the first right one, for each query.

    A query is a hit at k where its rank is below k: at least one right item is among the first k. That is the recall
    of the CLIP paper and of CLIP_benchmark; torchmetrics' `RetrievalRecall` is the share of the right items instead.

    Ties count against the model: a wrong item that is exactly as similar as the best right one comes before it, so
    that a model that gives everything the same embedding scores nothing. Others take them in the order in which
    `topk` happens to give them. A similarity that is not a number counts as the worst.

    Source: Radford et al. 2021, arXiv:2103.00020; https://github.com/LAION-AI/CLIP_benchmark.

    Args:
        queries: `(Q, D)` float.
        items: `(N, D)` float, on the same device.
        query_groups: `(Q,)` int64: an item is right for a query of the same group.
        item_groups: `(N,)` int64.
        chunk: Queries at a time; None takes as many as fit into `CHUNK_ELEMENTS` similarities.

    Returns:
        `(Q,)` int64 in [0, N), on the device of the queries; N where no item is right.

    >>> eye = torch.eye(3)
    >>> retrieval_ranks(eye, eye.flip(0), torch.arange(3), torch.arange(3)).tolist()
    [2, 0, 2]
    """
    size = chunk or max(1, CHUNK_ELEMENTS // max(1, len(items)))
    ranks = [
        _ranks(part @ items.T, groups[:, None] == item_groups)  # (chunk, N) each
        for part, groups in zip(queries.split(size), query_groups.split(size), strict=True)
    ]
    return torch.cat(ranks)


def _ranks(scores: Tensor, right: Tensor) -> Tensor:
    """`(Q,)` ranks from `(Q, N)` similarities, which are overwritten, and which of them are right."""
    found = right.any(1)
    best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)  # (Q, 1)
    # "not less" instead of "at least": what is not a number comes before the right item
    ahead = (scores < best).logical_not_().logical_and_(~right)
    return torch.where(found, ahead.sum(1), scores.shape[1])
