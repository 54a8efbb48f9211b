"""What fixed queries of a split find, as pictures: the same queries at each validation and in each run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmdl.data.caption_dataset import CaptionDataset
from mmdl.data.sampler import IntArray, spread_rows
from mmdl.evaluators.base import Artifact, EvaluationContext
from mmdl.figures.retrieval_grid import Hit, Pixels, Query, draw_image_queries, draw_text_queries
from mmdl.figures.style import save_png

MOST_QUERIES, MOST_HITS = 16, 10
"""Larger pictures can't be read."""


def retrieval_pictures(
    context: EvaluationContext, folder: Path, queries: int = 5, top: int = 5
) -> Iterator[Artifact]:
    """Write `text_to_image.png` and `image_to_text.png`: queries, what is nearest to them, and what is right.

    The queries are evenly spread over the split. Nothing is written for a split whose captions or pixels can't be
    read by row.

    Args:
        context: Its outputs hold the embeddings of a split.
        folder: Where.
        queries: Queries of each kind, at most 16.
        top: Items of each query, at most 10.
    """
    outputs = context.outputs
    if (
        queries < 1
        or not len(outputs.get("embeddings", ()))
        or not len(outputs.get("captions/embeddings", ()))
    ):
        return
    dataset: Any = context.data.dataset(context.split)
    if not isinstance(dataset, CaptionDataset):
        return
    queries, top = min(queries, MOST_QUERIES), min(top, MOST_HITS)
    images, texts = outputs["embeddings"], outputs["captions/embeddings"]
    image_ids, text_ids = outputs["image_ids"], outputs["captions/image_ids"]
    captions, rows = outputs["captions/rows"], outputs["rows"]

    def image(place: int) -> Pixels:
        return _pixels(dataset, int(rows[place]))

    def caption(place: int) -> str:
        return str(dataset.index.captions[int(captions[place])])

    of = f"{context.split}, {len(images):,} images, {len(texts):,} captions"
    places = spread_rows(len(texts), queries)
    found = [
        _query(caption(q), texts[q], images, image_ids == text_ids[q], image, top) for q in places.tolist()
    ]
    title = f"Captions and their nearest images ({of})"
    figure = draw_text_queries(found, title)
    yield Artifact(save_png(figure, folder / "text_to_image.png"), title)
    places = spread_rows(len(images), queries)
    found = [
        _query(image(q), images[q], texts, text_ids == image_ids[q], caption, top) for q in places.tolist()
    ]
    title = f"Images and their nearest captions ({of})"
    yield Artifact(save_png(draw_image_queries(found, title), folder / "image_to_text.png"), title)


def _query(
    query: Pixels | str,
    embedding: NDArray[Any],
    items: NDArray[Any],
    right: NDArray[np.bool_],
    item: Any,
    top: int,
) -> Query:
    """Rank the items; as in `retrieval_ranks`, a wrong one comes before a right one that is as near."""
    scores = items @ embedding
    order: IntArray = np.lexsort((right, -scores))
    nearest = [_hit(item, order, place, scores, right) for place in range(min(top, len(order)))]
    missed = None
    if right.any() and not any(hit.right for hit in nearest):
        missed = _hit(item, order, int(right[order].argmax()), scores, right)
    return Query(query, nearest, missed, len(items))


def _hit(item: Any, order: IntArray, place: int, scores: NDArray[Any], right: NDArray[np.bool_]) -> Hit:
    chosen = int(order[place])
    return Hit(item(chosen), float(scores[chosen]), bool(right[chosen]), place + 1)


def _pixels(dataset: CaptionDataset, row: int) -> Pixels:
    """`(H, W, 3)`; also where the model is fed cached features in place of images."""
    image = dataset.pixels[np.array([row], dtype=np.int64)][0]  # (3, H, W)
    return np.asarray(image.clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy())
