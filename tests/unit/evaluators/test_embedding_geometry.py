"""The figures of the embeddings; each metric has its own test."""

import numpy as np
import pytest
import torch

from mmdl.errors import UserError
from mmdl.evaluators.embedding_geometry import EmbeddingGeometry
from mmdl.metrics.uniformity import uniformity


@pytest.fixture
def embedded(context):
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.normalize(torch.randn(30, 4, generator=generator), dim=1)
    of_caption = np.repeat(np.arange(30), 2)
    text = -image[of_caption]
    outputs = {
        "rows": np.arange(30) + 5,
        "embeddings": image.numpy(),
        "captions/embeddings": text.numpy(),
        "captions/image_rows": of_caption + 5,
    }
    return context._replace(outputs=outputs)


def test_figures(embedded):
    found = {result.name: result for result in EmbeddingGeometry().run(embedded)}
    assert found["alignment"].value == pytest.approx(4), "each caption is opposite to its image"
    assert found["alignment"].n == 60
    image = torch.from_numpy(embedded.outputs["embeddings"])
    assert found["modality_gap"].value == pytest.approx(2 * float(image.mean(0).norm()))
    assert found["image_uniformity"].value == pytest.approx(uniformity(image))
    assert found["image_effective_rank"].value == pytest.approx(found["text_effective_rank"].value, rel=1e-6)
    assert (found["image_effective_rank"].n, found["text_effective_rank"].n) == (30, 60)
    assert list(EmbeddingGeometry().notes(embedded)) == []


def test_uniformity_over_a_part_is_said(embedded):
    evaluator = EmbeddingGeometry(max_uniformity=10)
    found = {result.name: result for result in evaluator.run(embedded)}
    assert found["image_uniformity"].n == found["text_uniformity"].n == 10
    assert list(evaluator.notes(embedded)) == ["uniformity over at most 10 of 30 images and 60 captions"]


def test_nothing_without_embeddings(context):
    assert list(EmbeddingGeometry().run(context)) == []
    assert list(EmbeddingGeometry().notes(context)) == []


def test_a_pair_is_needed():
    with pytest.raises(UserError, match="max_uniformity=1"):
        EmbeddingGeometry(max_uniformity=1)
