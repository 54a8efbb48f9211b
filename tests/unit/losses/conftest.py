"""Embeddings with several captions an image, and equal images."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmdl.losses.pairs import Pairs


def random_pairs(images: int, captions: int, dim: int = 6, dtype: torch.dtype = torch.float64) -> Pairs:
    """Leaves that learn; every image has a caption, and with more than three images two of them are equal."""
    rng = torch.Generator().manual_seed(images * 1000 + captions)
    image, text = (
        normalize(torch.randn(n, dim, generator=rng, dtype=torch.float64), dim=1).to(dtype).requires_grad_()
        for n in (images, captions)
    )
    ids = torch.randperm(images, generator=rng) * 7 - 3
    if images > 3:
        ids[2] = ids[0]
    order = torch.randperm(captions, generator=rng)
    index = torch.cat([torch.arange(images), torch.randint(0, images, (captions - images,), generator=rng)])
    return Pairs(image, text, ids, ids[index[order]])


@pytest.fixture
def make_pairs() -> Callable[..., Pairs]:
    """`make_pairs(images, captions, dim, dtype)`."""
    return random_pairs


@pytest.fixture
def gradients() -> Callable[..., tuple[Tensor, list[Tensor]]]:
    """`gradients(loss, pairs, bias)`: value and gradients for image, text, scale and, where there is one, bias."""

    def take(loss: Callable[..., Tensor], pairs: Pairs, bias: float | None) -> tuple[Tensor, list[Tensor]]:
        dtype = pairs.image.dtype
        scale = torch.tensor(9.0, dtype=dtype, requires_grad=True)
        offset = None if bias is None else torch.tensor(bias, dtype=dtype, requires_grad=True)
        value = loss(pairs, scale, offset)
        wanted = [pairs.image, pairs.text, scale, *([] if offset is None else [offset])]
        return value.detach(), list(torch.autograd.grad(value, wanted))

    return take
