"""The most similar rows, by comparing with all of them in chunks of bounded memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

CHUNK_ELEMENTS = 1 << 23
"""Numbers that are held at a time: 32 MiB."""

QUERIES = 256
"""Queries that are compared at a time."""


class Nearest(NamedTuple):
    """The most similar rows of each query, best first.

    Attributes:
        similarities: `(Q, k)` float32 cosine similarities.
        rows: `(Q, k)` int64.
    """

    similarities: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]


def exact_nearest(queries: npt.NDArray[np.float32], embeddings: npt.NDArray[Any], k: int) -> Nearest:
    """The `k` rows with the largest inner products; of equal ones the first rows.

    Args:
        queries: `(Q, D)` float32, each row of length 1.
        embeddings: `(N, D)` float16 or float32, each row of length 1; may be memory-mapped.
        k: How many; at most `N` are returned.

    >>> eye = np.eye(3, dtype=np.float32)
    >>> exact_nearest(eye[:1], eye, 2).rows.tolist()
    [[0, 1]]
    """
    k = min(k, len(embeddings))
    parts = [
        _block(queries[start : start + QUERIES], embeddings, k) for start in range(0, len(queries), QUERIES)
    ]
    if not parts:
        return Nearest(np.zeros((0, k), np.float32), np.zeros((0, k), np.int64))
    return Nearest(np.concatenate([p.similarities for p in parts]), np.concatenate([p.rows for p in parts]))


def _block(queries: npt.NDArray[np.float32], embeddings: npt.NDArray[Any], k: int) -> Nearest:
    size = max(k, CHUNK_ELEMENTS // max(queries.shape))
    values = np.zeros((len(queries), 0), np.float32)
    rows = np.zeros((len(queries), 0), np.int64)
    for start in range(0, len(embeddings), size):
        chunk = np.asarray(embeddings[start : start + size], np.float32)
        scores = queries @ chunk.T  # (Q, chunk)
        places = np.broadcast_to(np.arange(start, start + len(chunk)), scores.shape)
        values, rows = _best(np.hstack([values, scores]), np.hstack([rows, places]), k)
    return Nearest(values, rows)


def _best(
    values: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], k: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The `k` largest values of each line, and their rows; equal values stay in the order of the rows."""
    k = min(k, values.shape[1])
    limits = np.partition(values, -k, axis=1)[:, -k]  # (Q,)
    picked = np.empty((len(values), k), np.int64)
    for line, limit in enumerate(limits):
        candidates = np.flatnonzero(values[line] >= limit)
        picked[line] = candidates[np.argsort(-values[line, candidates], kind="stable")[:k]]
    return np.take_along_axis(values, picked, 1), np.take_along_axis(rows, picked, 1)
