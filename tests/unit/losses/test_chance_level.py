import math

import pytest
import torch

from mmdl.losses.chance_level import chance_level
from mmdl.losses.infonce import infonce
from mmdl.losses.pairs import Pairs
from mmdl.losses.siglip import siglip


def unrelated(images, captions):
    """Every text at the same cosine to every image."""
    ids = torch.arange(images)
    image, text = torch.zeros(images, 2), torch.zeros(captions, 2)
    image[:, 0] = text[:, 1] = 1.0
    return Pairs(image, text, ids, ids.repeat_interleave(captions // images))


@pytest.mark.parametrize(("images", "captions"), [(1, 1), (8, 8), (8, 40)])
def test_is_the_loss_of_embeddings_that_say_nothing(images, captions):
    pairs, scale = unrelated(images, captions), torch.tensor(14.0)
    assert infonce(pairs, scale).item() == pytest.approx(chance_level("infonce", images, captions), abs=1e-5)
    biases = torch.linspace(-8, 8, 2001) if images > 1 else torch.tensor([40.0])
    best = min(siglip(pairs, scale, bias).item() for bias in biases)
    assert best == pytest.approx(chance_level("siglip", images, captions), abs=1e-3)


def test_random_directions_in_many_dimensions_come_near_it():
    rng = torch.Generator().manual_seed(0)
    image, text = (
        torch.nn.functional.normalize(torch.randn(64, 4096, generator=rng), dim=1) for _ in range(2)
    )
    ids = torch.arange(64)
    found = infonce(Pairs(image, text, ids, ids), torch.tensor(1.0)).item()
    assert found == pytest.approx(math.log(64), abs=0.01)
