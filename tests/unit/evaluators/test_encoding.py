"""Encoding for evaluators: order, modes, sharing, features from before the projection."""

import numpy as np
import pytest
import torch
from torch import nn

from mmdl.errors import UserError
from mmdl.evaluators import encoding
from mmdl.evaluators.encoding import encoded_images, on_one_rank, once, spread_rows


@pytest.fixture
def dataset(colours):
    data = colours()
    data.setup(splits=["test"])
    return data.dataset("test")


def test_chunks_come_in_order(context, dataset, monkeypatch):
    whole = encoded_images(context._replace(shared=None), dataset)
    monkeypatch.setattr(encoding, "IMAGES_AT_ONCE", 7)
    found = encoded_images(context._replace(shared=None), dataset)
    assert torch.allclose(found.features, whole.features)
    assert found.features.dtype == torch.float32
    assert np.array_equal(found.labels, dataset.split.labels)
    with torch.no_grad():
        assert torch.allclose(
            found.features[13:14], context.task.model.encode_images(dataset.pixels.tensor[13:14])
        )


def test_a_limit_is_spread_evenly(context, dataset):
    found = encoded_images(context, dataset, limit=7)
    assert found.rows.tolist() == spread_rows(60, 7).tolist() == [0, 10, 20, 30, 39, 49, 59]
    assert len(found.features) == len(found.labels) == 7
    assert len(encoded_images(context, dataset).features) == 60, "another limit is another thing to share"


def test_the_model_is_in_eval_mode_and_goes_back(context, dataset):
    modes = []
    model = context.task.model
    model.encode_images = lambda images: (modes.append(model.training), images.float().mean((2, 3)))[1]
    model.train()
    encoded_images(context, dataset)
    assert (modes, model.training) == ([False], True)


def test_features_from_before_the_projection(context, dataset):
    pooled = encoded_images(context, dataset, "pooled")
    assert torch.equal(pooled.features, dataset.pixels.tensor.float().flatten(1))
    assert encoded_images(context, dataset, "embedding").features.shape == (60, 3)


@pytest.mark.parametrize("name", ["vit_tiny_64", "resnet_tiny_64"])
def test_open_clip_towers(name):
    from mmdl.models.clip import CLIP

    model = CLIP(name).eval()
    visual = model.image_tower.visual
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    if not isinstance(getattr(visual, "proj", None), torch.Tensor):
        with pytest.raises(UserError, match="no features from before its projection"):
            encoding._image_encoder(model, "pooled")
        return
    with torch.no_grad():
        features = encoding._image_encoder(model, "pooled")(images)
        assert torch.allclose(features @ visual.proj, model.image_tower(images), atol=1e-5)
    assert isinstance(visual.proj, nn.Parameter)
    assert "image_tower.visual.proj" in dict(model.named_parameters())


def test_once_and_on_one_rank(context):
    made = []
    for _ in range(2):
        once(context, "key", lambda: made.append(1))
    assert made == [1]
    for _ in range(2):
        once(context._replace(shared=None), "key", lambda: made.append(1))
    assert made == [1, 1, 1]
    assert on_one_rank(context, lambda: 5) == 5
