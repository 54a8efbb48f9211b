import pytest
import torch

from mmdl.losses.pairs import Pairs
from mmdl.losses.siglip import siglip
from mmdl.losses.tiled_siglip import tiled_siglip


def tiled(tile):
    return lambda pairs, scale, bias: tiled_siglip(pairs, scale, bias, tile=tile)


@pytest.mark.parametrize("bias", [None, -4.0, 30.0])
@pytest.mark.parametrize("tile", [1, 3, 100])
@pytest.mark.parametrize(("images", "captions"), [(1, 1), (1, 4), (7, 7), (9, 23)])
def test_value_and_gradients_are_those_of_the_plain_loss(make_pairs, gradients, bias, tile, images, captions):
    pairs = make_pairs(images, captions)
    expected, found = gradients(siglip, pairs, bias), gradients(tiled(tile), pairs, bias)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tile", [3, 100])
def test_a_rank_s_part_equals_that_of_the_plain_loss(make_pairs, tile):
    everyone = make_pairs(9, 23)
    scale, bias = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (9.0, -4.0))
    own = Pairs(everyone.image[:4], everyone.text[:11], everyone.image_ids[:4], everyone.caption_ids[:11])
    values = [siglip(own, scale, bias, everyone), tiled_siglip(own, scale, bias, everyone, tile=tile)]
    leaves = [everyone.image, everyone.text, scale, bias]
    expected, found = ((value, *torch.autograd.grad(value, leaves, retain_graph=True)) for value in values)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_float32_is_as_exact_as_the_plain_loss(make_pairs, gradients):
    exact = gradients(siglip, make_pairs(150, 310, 32), -8.0)
    pairs = make_pairs(150, 310, 32, torch.float32)
    for loss in (siglip, tiled(64)):
        value, grads = gradients(loss, pairs, -8.0)
        torch.testing.assert_close(value.double(), exact[0], rtol=2e-6, atol=0)
        for ours, theirs in zip(grads, exact[1], strict=True):
            torch.testing.assert_close(ours.double(), theirs, rtol=2e-6, atol=2e-6)


def test_gradcheck(make_pairs):
    pairs = make_pairs(4, 7, 3)
    scale, bias = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (2.0, -1.0))

    def loss(image, text, scale, bias):
        return tiled_siglip(Pairs(image, text, pairs.image_ids, pairs.caption_ids), scale, bias, tile=3)

    assert torch.autograd.gradcheck(loss, (pairs.image, pairs.text, scale, bias))
