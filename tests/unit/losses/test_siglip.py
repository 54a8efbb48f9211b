import math

import pytest
import torch

from mmdl.losses.pairs import Pairs
from mmdl.losses.siglip import siglip


@pytest.mark.parametrize(("images", "captions"), [(1, 1), (1, 3), (4, 4), (5, 12)])
@pytest.mark.parametrize("bias", [None, -2.0])
def test_equals_the_formula_in_plain_python(make_pairs, images, captions, bias):
    pairs = make_pairs(images, captions)
    total = 0.0
    for i, a in zip(pairs.image.detach(), pairs.image_ids, strict=True):
        for t, b in zip(pairs.text.detach(), pairs.caption_ids, strict=True):
            sign = 1 if int(a) == int(b) else -1
            total += math.log(1 + math.exp(-sign * (9.0 * float(i @ t) + (bias or 0.0))))
    offset = None if bias is None else torch.tensor(bias, dtype=torch.float64)
    found = siglip(pairs, torch.tensor(9.0, dtype=torch.float64), offset)
    assert found.item() == pytest.approx(total / images, abs=1e-12)


def test_the_parts_of_the_ranks_add_up_to_the_joined_loss(make_pairs):
    pairs = make_pairs(7, 16)
    scale, bias = torch.tensor(9.0, dtype=torch.float64), torch.tensor(-3.0, dtype=torch.float64)
    parts = [
        Pairs(pairs.image[i], pairs.text[t], pairs.image_ids[i], pairs.caption_ids[t])
        for i, t in ((slice(0, 2), slice(0, 9)), (slice(2, 7), slice(9, 16)))
    ]
    total = sum(siglip(part, scale, bias, pairs) for part in parts)
    torch.testing.assert_close(total, siglip(pairs, scale, bias), rtol=0, atol=1e-12)


def test_large_logits_stay_finite():
    one = torch.ones(2, 1)
    pairs = Pairs(one, one, torch.arange(2), torch.arange(2))
    assert siglip(pairs, torch.tensor(1000.0)).item() == pytest.approx(1000.0)
