"""Predictions of retrieval, from embeddings made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmdl.data.caption_index import CaptionIndex
from mmdl.runs.retrieval_predictions import retrieval_predictions

INDEX = CaptionIndex(
    ["a", "b", "b#1"], ["", "", ""], [["one a", "another a"], ["one b"], ["the b again"]], files=[b"", b"", b""]  # type: ignore[arg-type]
)  # fmt: skip


def outputs() -> dict[str, np.ndarray[Any, Any]]:
    """Images `b` and `b#1` are the same picture; the second caption of `a` looks like `b`."""
    images = np.eye(3, dtype=np.float32)
    return {
        "rows": np.array([0, 1, 2]),
        "image_ids": np.array([0, 1, 1]),
        "embeddings": images,
        "captions/rows": np.arange(4),
        "captions/image_ids": np.array([0, 0, 1, 1]),
        "captions/embeddings": images[[0, 1, 1, 2]] * np.array([[0.9], [0.8], [0.7], [np.nan]], np.float32),
    }


def test_records_of_both_directions() -> None:
    captions, images = retrieval_predictions(INDEX, outputs())
    assert (captions.suffix, captions.metric) == ("_text_to_image", "text_to_image/recall@1")
    assert [record["id"] for record in captions.records] == ["a#0", "a#1", "b#0", "b#1#0"]
    assert [record["rank"] for record in captions.records] == [1, 3, 1, 2]
    first = captions.records[0]
    assert (first["query"], first["image"], first["among"], first["right"]) == ("one a", "a", 3, 1)
    assert first["top"][0] == {"image": "a", "similarity": 0.9, "right": True}
    assert captions.records[2]["right"] == 2
    assert captions.records[3]["hit"] is False
    assert {item["similarity"] for item in captions.records[3]["top"]} == {None}
    assert (images.suffix, [record["id"] for record in images.records]) == (
        "_image_to_text",
        ["a", "b", "b#1"],
    )
    record = images.records[0]
    assert record["top"][0]["id"] == "b#1#0"  # its embedding is no number
    assert record["top"][1] == {"id": "a#0", "caption": "one a", "similarity": 0.9, "right": True}
    assert (record["rank"], record["among"], record["right"]) == (2, 4, 2)


def test_chosen_images_are_ranked_among_all_with_their_first_captions() -> None:
    whole = retrieval_predictions(INDEX, outputs())
    some = retrieval_predictions(INDEX, outputs(), np.array([0, 2]))
    assert some[0].records == [whole[0].records[0], whole[0].records[3]]
    assert some[1].records == [whole[1].records[0], whole[1].records[2]]


def test_without_embeddings_there_are_none() -> None:
    assert retrieval_predictions(INDEX, {}) == []
