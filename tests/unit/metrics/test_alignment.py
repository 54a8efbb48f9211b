"""Alignment of known pairs."""

import pytest
import torch

from mmdl.metrics.alignment import alignment


def test_known_pairs():
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    second = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])  # distances 0, sqrt(2), 2
    assert alignment(first, second) == pytest.approx((0 + 2 + 4) / 3)
    assert alignment(first, second, alpha=1) == pytest.approx((0 + 2**0.5 + 2) / 3)


def test_is_two_minus_twice_the_cosine():
    one, other = torch.nn.functional.normalize(torch.randn(2, 200, 16, dtype=torch.float64), dim=-1)
    assert alignment(one, other) == pytest.approx(2 - 2 * float((one * other).sum(1).mean()))
