"""Approximate search for large sets by faiss: an inverted file, whose candidates are compared exactly again."""

from __future__ import annotations

import importlib
import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmdl.errors import UserError
from mmdl.search.exact import Nearest, exact_nearest

TARGET = 0.99
"""Recall@10 against the exact search, on images of the index itself, up to which more lists are visited."""

SAMPLE = 200
"""Images that the recall is measured on."""

SEED = 0
_CHUNK = 1 << 16
_TRAINING_PER_LIST = 64


def is_installed() -> bool:
    """Whether faiss can be imported."""
    return importlib.util.find_spec("faiss") is not None


def load_faiss() -> Any:
    """The module.

    Raises:
        UserError: if it is not installed.
    """
    if not is_installed():
        raise UserError(
            "backend=faiss needs the package faiss, which is not installed",
            valid="exact, auto, or faiss where it is installed",
            fix='pip install "mmdl[search]"   (or faiss-cpu)',
        )
    return importlib.import_module("faiss")


def build(embeddings: npt.NDArray[Any], path: Path) -> dict[str, Any]:
    """Train an inverted file with float16 vectors, fill it, find out how many lists to visit, and write it.

    Source: Douze et al. 2024, arXiv:2401.08281 (IVF with a scalar quantizer).

    Args:
        embeddings: `(N, D)` float16 or float32, each row of length 1; may be memory-mapped.
        path: The file.

    Returns:
        `lists`, `visited` and the `recall@10` that was measured with it.
    """
    faiss = load_faiss()
    count, dim = embeddings.shape
    lists = max(1, min(int(4 * math.sqrt(count)), count // 39))  # faiss wants 39 vectors a list to train with
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim), dim, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    generator = np.random.default_rng(SEED)
    chosen = np.sort(generator.permutation(count)[: max(lists * _TRAINING_PER_LIST, 1)])
    index.train(_floats(embeddings[chosen]))
    for start in range(0, count, _CHUNK):
        index.add(_floats(embeddings[start : start + _CHUNK]))
    sample = _floats(embeddings[np.sort(generator.permutation(count)[:SAMPLE])])
    wanted = exact_nearest(sample, embeddings, 10)
    visited, recall = 1, 0.0
    while True:
        index.nprobe = visited
        _, rows = index.search(sample, 20)
        recall = recall_of(rows, wanted.rows)
        if recall >= TARGET or visited == lists:
            break
        visited = min(2 * visited, lists)
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # faiss reports a failed write without an errno
        raise OSError(f"faiss could not write: {str(error).splitlines()[-1][:200]}") from error
    return {"lists": lists, "visited": visited, "recall@10": round(recall, 4)}


def faiss_nearest(
    file: Path, visited: int, queries: npt.NDArray[np.float32], embeddings: npt.NDArray[Any], k: int
) -> Nearest:
    """The most similar rows among those that faiss proposes, with exact similarities.

    Args:
        file: From `build`.
        visited: Lists to visit.
        queries: `(Q, D)` float32.
        embeddings: `(N, D)`, those of the file.
        k: How many.
    """
    faiss = load_faiss()
    index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP)
    index.nprobe = visited
    _, proposed = index.search(_floats(queries), min(len(embeddings), max(2 * k, 20)))
    k = min(k, len(embeddings))
    similarities, rows = np.zeros((len(queries), k), np.float32), np.zeros((len(queries), k), np.int64)
    for line, query in enumerate(queries):
        found = np.sort(proposed[line][proposed[line] >= 0])
        if len(found) < k:  # the visited lists hold too few
            nearest = exact_nearest(query[None], embeddings, k)
            similarities[line], rows[line] = nearest.similarities[0], nearest.rows[0]
            continue
        nearest = exact_nearest(query[None], embeddings[found], k)
        similarities[line], rows[line] = nearest.similarities[0], found[nearest.rows[0]]
    return Nearest(similarities, rows)


def recall_of(found: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> float:
    """Share of the wanted rows that were found, over all queries.

    >>> recall_of(np.array([[1, 2, 3]]), np.array([[3, 9]]))
    0.5
    """
    hits = sum(len(np.intersect1d(one, other)) for one, other in zip(found, wanted, strict=True))
    return hits / wanted.size


def _floats(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32)
