"""With one caption an image the losses are those of open_clip, in value and in gradients."""

import pytest
import torch

from mmdl.losses.infonce import infonce
from mmdl.losses.pairs import Pairs
from mmdl.losses.siglip import siglip
from mmdl.losses.tiled_infonce import tiled_infonce
from mmdl.losses.tiled_siglip import tiled_siglip

open_clip = pytest.importorskip("open_clip")


def leaves(count, dtype):
    rng = torch.Generator().manual_seed(0)
    image, text = (
        torch.nn.functional.normalize(torch.randn(count, 24, generator=rng, dtype=torch.float64), dim=1)
        .to(dtype)
        .requires_grad_()
        for _ in range(2)
    )
    scale, bias = (torch.tensor(x, dtype=dtype, requires_grad=True) for x in (14.2857, -10.0))
    return image, text, scale, bias


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("tile", [None, 10])
@pytest.mark.parametrize("name", ["infonce", "siglip"])
def test_equal_to_open_clip(name, tile, dtype):
    own = {
        ("infonce", None): infonce,
        ("siglip", None): siglip,
        ("infonce", 10): lambda *a: tiled_infonce(*a, tile=10),
        ("siglip", 10): lambda *a: tiled_siglip(*a, tile=10),
    }[name, tile]
    image, text, scale, bias = leaves(37, dtype)
    learned = [image, text, scale] + [bias] * (name == "siglip")
    theirs = (
        open_clip.loss.SigLipLoss()(image, text, scale, bias)
        if name == "siglip"
        else open_clip.loss.ClipLoss()(image, text, scale)
    )
    ids = torch.randperm(37) + 100
    ours = own(Pairs(image, text, ids, ids), scale, bias)
    tolerance = {"rtol": 1e-12, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 2e-5, "atol": 2e-6}
    torch.testing.assert_close(ours, theirs, **tolerance)
    torch.testing.assert_close(
        torch.autograd.grad(ours, learned), torch.autograd.grad(theirs, learned), **tolerance
    )
