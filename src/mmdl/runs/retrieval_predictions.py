"""Predictions of retrieval: what each caption and each image of a split finds, and the rank of the right one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from mmdl.data.caption_index import CaptionIndex
from mmdl.data.sampler import IntArray
from mmdl.metrics.occurrences import occurrences
from mmdl.metrics.retrieval_nearest import retrieval_nearest
from mmdl.metrics.retrieval_ranks import retrieval_ranks
from mmdl.runs.item_files import Predictions

TOP = 5


def retrieval_predictions(
    index: CaptionIndex, outputs: Mapping[str, np.ndarray[Any, Any]], chosen: IntArray | None = None
) -> list[Predictions]:
    """Records of both directions: `id`, `query`, `image`, `rank`, `hit`, `among`, `right`, and `top`.

    Ids and image keys come from the source and are the same in every run: an image's is its id, a caption's that of its
    image with its place among the image's captions. `rank` begins at 1 and counts ties against the model; `among` is
    how many items were searched, `right` how many of them are right; `top` the nearest.

    Args:
        index: The split.
        outputs: `rows`, `image_ids` and `embeddings` of the images; the same below `captions/`.
        chosen: Only the queries of these images, each with its first caption; None: all.
    """
    if not len(outputs.get("embeddings", ())) or not len(outputs.get("captions/embeddings", ())):
        return []
    rows, captions = outputs["rows"], outputs["captions/rows"]
    keys = [str(index.image_ids[row]) for row in rows.tolist()]
    owners = [str(index.image_ids[row]) for row in index.image_of[captions].tolist()]
    places = captions - index.offsets[index.image_of[captions]]
    caption_ids = [f"{key}#{place}" for key, place in zip(owners, places.tolist(), strict=True)]
    texts = [index.captions[row] for row in captions.tolist()]
    image, text = (torch.from_numpy(outputs[f"{kind}embeddings"]) for kind in ("", "captions/"))
    image_ids, text_ids = (torch.from_numpy(outputs[f"{kind}image_ids"]) for kind in ("", "captions/"))
    wanted = np.arange(len(texts)), np.arange(len(keys))
    if chosen is not None:
        first = np.unique(index.image_of[captions], return_index=True)[1]
        wanted = (
            first[np.isin(index.image_of[captions[first]], chosen)],
            np.flatnonzero(np.isin(rows, chosen)),
        )

    def found_images(own: Sequence[int]) -> list[dict[str, Any]]:
        return [{"image": keys[place]} for place in own]

    def found_captions(own: Sequence[int]) -> list[dict[str, Any]]:
        return [{"id": caption_ids[place], "caption": texts[place]} for place in own]

    asked = wanted[0].tolist(), wanted[1].tolist()
    of_captions = [{"id": caption_ids[q], "query": texts[q], "image": owners[q]} for q in asked[0]]
    of_images = [{"id": keys[q], "query": keys[q], "image": keys[q]} for q in asked[1]]
    both = (
        ("text_to_image", of_captions, found_images, (text[wanted[0]], image, text_ids[wanted[0]], image_ids)),
        ("image_to_text", of_images, found_captions, (image[wanted[1]], text, image_ids[wanted[1]], text_ids)),
    )  # fmt: skip
    return [
        Predictions(
            "retrieval",
            f"{direction}/recall@1",
            _records(queries, found, *sides),
            f"_{direction}",
        )
        for direction, queries, found, sides in both
    ]


def _records(
    queries: Sequence[dict[str, Any]],
    found: Any,
    embeddings: torch.Tensor,
    items: torch.Tensor,
    groups: torch.Tensor,
    item_groups: torch.Tensor,
) -> list[dict[str, Any]]:
    """One record a query."""
    if not queries:
        return []
    ranks = retrieval_ranks(embeddings, items, groups, item_groups)
    nearest = retrieval_nearest(embeddings, items, groups, item_groups, TOP)
    right = occurrences(groups.numpy(), item_groups.numpy())
    columns = (ranks, *nearest)
    records = []
    for query, rank, places, values, hits, count in zip(
        queries, *(column.tolist() for column in columns), right.tolist(), strict=True
    ):
        top = [
            item | {"similarity": round(value, 6) if math.isfinite(value) else None, "right": hit}
            for item, value, hit in zip(found(places), values, hits, strict=True)
        ]
        own = {"rank": rank + 1, "hit": rank == 0, "among": len(items), "right": count, "top": top}
        records.append(query | own)
    return records
