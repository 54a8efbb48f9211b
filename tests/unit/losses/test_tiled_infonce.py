import pytest
import torch

from mmdl.losses.infonce import infonce
from mmdl.losses.pairs import Pairs
from mmdl.losses.tiled_infonce import tiled_infonce


def tiled(tile, everyone=None):
    return lambda pairs, scale, bias: tiled_infonce(pairs, scale, bias, everyone, tile=tile)


@pytest.mark.parametrize("tile", [1, 3, 8, 100])
@pytest.mark.parametrize(("images", "captions"), [(1, 1), (1, 4), (7, 7), (9, 23), (16, 16)])
def test_value_and_gradients_are_those_of_the_plain_loss(make_pairs, gradients, tile, images, captions):
    pairs = make_pairs(images, captions)
    expected, found = gradients(infonce, pairs, None), gradients(tiled(tile), pairs, None)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tile", [3, 100])
def test_a_rank_s_part_equals_that_of_the_plain_loss(make_pairs, tile):
    everyone = make_pairs(9, 23)
    scale = torch.tensor(9.0, dtype=torch.float64, requires_grad=True)
    parts = everyone.image[:4], everyone.text[:11], everyone.image_ids[:4], everyone.caption_ids[:11]
    leaves = [everyone.image, everyone.text, scale]
    values = [
        infonce(Pairs(*parts), scale, None, everyone),
        tiled_infonce(Pairs(*parts), scale, None, everyone, tile=tile),
    ]
    expected, found = ((value, *torch.autograd.grad(value, leaves, retain_graph=True)) for value in values)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_float32_is_as_exact_as_the_plain_loss(make_pairs, gradients):
    exact = gradients(infonce, make_pairs(150, 310, 32), None)
    pairs = make_pairs(150, 310, 32, torch.float32)
    for loss in (infonce, tiled(64)):
        value, grads = gradients(loss, pairs, None)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), exact[0], rtol=1e-6, atol=0)
        for ours, theirs in zip(grads, exact[1], strict=True):
            torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2e-6)


def test_stays_in_float32_under_autocast_forward_and_backward(make_pairs, gradients):
    pairs = make_pairs(20, 45, 16, torch.float32)
    expected = gradients(tiled(8), pairs, None)
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients(tiled(8), pairs, None)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_gradcheck(make_pairs):
    pairs = make_pairs(4, 7, 3)
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)

    def loss(image, text, scale):
        return tiled_infonce(Pairs(image, text, pairs.image_ids, pairs.caption_ids), scale, tile=3)

    assert torch.autograd.gradcheck(loss, (pairs.image, pairs.text, scale))


def test_a_large_scale_does_not_overflow(make_pairs, gradients):
    pairs = make_pairs(9, 23)
    far = Pairs(pairs.image, pairs.text, pairs.image_ids, pairs.caption_ids)

    def loss(form):
        return lambda pairs, scale, bias: form(pairs, scale * 1000, bias)

    expected, found = gradients(loss(infonce), far, None), gradients(loss(tiled(4)), far, None)
    assert found[0].isfinite()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
