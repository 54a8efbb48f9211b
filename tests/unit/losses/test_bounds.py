"""The marks are those of the losses themselves: of equal embeddings, and the lowest that a search finds."""

import numpy as np
import pytest
import torch

from mmdl.losses.bounds import loss_bounds
from mmdl.losses.infonce import infonce
from mmdl.losses.pairs import Pairs
from mmdl.losses.siglip import siglip
from mmdl.metrics.caption_repeats import caption_repeats

ONE_EACH = ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
CASES = {
    "one caption each": ONE_EACH,
    "two captions": ([0, 1, 2], [0, 0, 1, 1, 2, 2], [0, 1, 2, 3, 4, 5]),
    "repeated": ([0, 1, 2, 3], [0, 0, 1, 1, 2, 3, 3], [0, 1, 0, 2, 0, 3, 1]),
    "all the same": ([0, 1, 2, 3], [0, 1, 2, 3], [9, 9, 9, 9]),
    "duplicate image": ([0, 0, 1, 2], [0, 1, 2, 0, 0], [0, 1, 2, 3, 1]),
    "twice for one image": ([0, 1, 2], [0, 0, 0, 1, 2], [0, 0, 1, 0, 2]),
}


def marks(case, loss, scale=100.0):
    return loss_bounds(caption_repeats(*map(np.array, case)), loss, scale)


def lowest(case, loss, scale, distinct=False, steps=400):
    """The lowest loss that free embeddings reach, one for each text and one for each image id."""
    image_ids, caption_ids, text_ids = (torch.tensor(part) for part in case)
    if distinct:
        text_ids = torch.arange(len(text_ids))
    torch.manual_seed(0)
    images = torch.randn(int(image_ids.max()) + 1, 16, dtype=torch.double, requires_grad=True)
    texts = torch.randn(int(text_ids.max()) + 1, 16, dtype=torch.double, requires_grad=True)
    bias = torch.tensor(-1.0, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.Adam([images, texts, bias], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    normal = torch.nn.functional.normalize
    for _ in range(steps):
        # unbounded logits: lengths count, so that the temperature is free too
        image, text = images[image_ids], texts[text_ids]
        if scale is not None:
            image, text = normal(image, dim=1), normal(text, dim=1)
        pairs = Pairs(image, text, image_ids, caption_ids)
        value = loss(pairs, torch.tensor(1.0 if scale is None else scale, dtype=torch.double), bias)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    return float(value.detach())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_chance_level_of_infonce_is_the_loss_of_equal_embeddings(case):
    image_ids, caption_ids, _ = (torch.tensor(part) for part in case)
    image = torch.nn.functional.normalize(torch.ones(len(image_ids), 4, dtype=torch.double), dim=1)
    text = torch.nn.functional.normalize(torch.ones(len(caption_ids), 4, dtype=torch.double), dim=1)
    value = infonce(Pairs(image, text, image_ids, caption_ids), torch.tensor(14.3, dtype=torch.double))
    assert marks(case, "infonce").chance == pytest.approx(float(value), rel=1e-12)


def test_the_chance_level_with_one_caption_each_is_ln_batch():
    assert marks(ONE_EACH, "infonce").chance == pytest.approx(np.log(5), rel=1e-12)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_chance_level_of_siglip_is_the_loss_of_equal_logits_at_the_best_bias(case):
    image_ids, caption_ids, _ = (torch.tensor(part) for part in case)
    image = torch.zeros(len(image_ids), 4, dtype=torch.double)
    text = torch.zeros(len(caption_ids), 4, dtype=torch.double)
    one = torch.tensor(1.0, dtype=torch.double)
    losses = [
        float(siglip(Pairs(image, text, image_ids, caption_ids), one, bias))
        for bias in torch.linspace(-6, 6, 12001, dtype=torch.double)
    ]
    assert marks(case, "siglip").chance == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize(("name", "loss"), [("infonce", infonce), ("siglip", siglip)])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_floor_is_the_lowest_loss_of_free_embeddings(case, name, loss):
    found = marks(case, name)
    reached = lowest(case, loss, scale=None)
    assert found.floor <= reached + 1e-9
    assert reached == pytest.approx(found.floor, abs=0.02)
    if name == "infonce":
        assert lowest(case, loss, scale=None, distinct=True) == pytest.approx(found.distinct_floor, abs=0.02)


@pytest.mark.parametrize(("name", "loss"), [("infonce", infonce), ("siglip", siglip)])
@pytest.mark.parametrize("scale", [0.05, 0.5, 2.0, 5.0])
def test_the_floor_at_a_scale_is_the_lowest_loss_at_it(name, loss, scale):
    found = marks(ONE_EACH, name, scale)
    assert lowest(ONE_EACH, loss, scale) == pytest.approx(found.scale_floor, abs=2e-3)


def test_a_large_scale_is_no_limit():
    assert marks(ONE_EACH, "infonce").scale_floor == pytest.approx(0, abs=1e-12)
    assert marks(CASES["two captions"], "infonce").scale_floor == pytest.approx(np.log(2) / 2, abs=1e-12)
    assert marks(ONE_EACH, "siglip").scale_floor == pytest.approx(0, abs=1e-6)
