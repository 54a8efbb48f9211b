"""Recall equals CLIP_benchmark's, on its own definition, with several captions an image.

The definition, from its description and source (github.com/LAION-AI/CLIP_benchmark, zeroshot_retrieval): a table of
similarities of texts and images and a table of which pairs are right; a query's recall at k is the number of right
items among its k highest similarities, divided by the number of all its right items; the figure is the share of
queries whose recall is above zero. Texts ask for images with the table, images for texts with the table turned.
"""

import numpy as np
import pytest
import torch

from mmdl.evaluators.base import EvaluationContext
from mmdl.evaluators.retrieval import RetrievalEvaluator


def _reference(similarities, right, k):
    """`similarities` and `right` are (queries, items)."""
    hits = []
    for scores, truth in zip(similarities, right, strict=True):
        first = np.argsort(-scores, kind="stable")[:k]
        recall = truth[first].sum() / truth.sum()
        hits.append(recall > 0)
    return float(np.mean(hits))


class _Task:
    device = torch.device("cpu")


def _outputs(images, captions, seed):
    """Random embeddings, so that the order is random; `captions` says how many each image has."""
    generator = torch.Generator().manual_seed(seed)
    of_caption = np.repeat(np.arange(images), captions)
    image = torch.nn.functional.normalize(torch.randn(images, 16, generator=generator), dim=1)
    noise = torch.randn(len(of_caption), 16, generator=generator)
    text = torch.nn.functional.normalize(image[of_caption] + 1.5 * noise, dim=1)
    return {
        "rows": np.arange(images),
        "image_ids": np.arange(images) + 100,
        "embeddings": image.numpy(),
        "captions/rows": np.arange(len(of_caption)),
        "captions/image_rows": of_caption,
        "captions/image_ids": of_caption + 100,
        "captions/embeddings": text.numpy(),
    }


def _figures(outputs, **settings):
    context = EvaluationContext(_Task(), None, "test", outputs)
    return {result.name: result for result in RetrievalEvaluator(**{"resamples": 0} | settings).run(context)}


@pytest.mark.parametrize("captions", [1, 5, "uneven"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_recall_equals_clip_benchmark(captions, seed):
    images = 120
    counts = np.random.default_rng(seed).integers(1, 8, images) if captions == "uneven" else captions
    outputs = _outputs(images, counts, seed)
    found = _figures(outputs)
    similarities = outputs["captions/embeddings"] @ outputs["embeddings"].T  # (texts, images)
    right = outputs["captions/image_ids"][:, None] == outputs["image_ids"]
    for k in (1, 5, 10):
        assert found[f"text_to_image/recall@{k}"].value == _reference(similarities, right, k)
        assert found[f"image_to_text/recall@{k}"].value == _reference(similarities.T, right.T, k)
    assert found["text_to_image/recall@1"].n == len(outputs["captions/rows"])
    assert found["image_to_text/recall@1"].n == images
    assert 0 < found["text_to_image/recall@1"].value < found["text_to_image/recall@10"].value < 1


def test_the_smaller_protocol_is_the_mean_over_whole_folds():
    outputs = _outputs(230, 3, 0)
    found = _figures(outputs, fold_size=100)
    expected = []
    for start in (0, 100):  # the last 30 images are no whole fold
        own = (outputs["captions/image_rows"] >= start) & (outputs["captions/image_rows"] < start + 100)
        similarities = outputs["captions/embeddings"][own] @ outputs["embeddings"][start : start + 100].T
        right = outputs["captions/image_rows"][own, None] == np.arange(start, start + 100)
        expected.append((_reference(similarities, right, 5), _reference(similarities.T, right.T, 5)))
    assert found["100/text_to_image/recall@5"].value == pytest.approx(
        np.mean([t for t, _ in expected]), rel=1e-12
    )
    assert found["100/image_to_text/recall@5"].value == pytest.approx(
        np.mean([i for _, i in expected]), rel=1e-12
    )
    assert (found["100/text_to_image/recall@5"].n, found["100/image_to_text/recall@5"].n) == (600, 200)
    assert found["100/text_to_image/recall@5"].value > found["text_to_image/recall@5"].value
