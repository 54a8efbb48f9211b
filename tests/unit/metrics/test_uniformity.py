"""Uniformity against the formula of the paper, and in chunks."""

import pytest
import torch

from mmdl.metrics import uniformity as module
from mmdl.metrics.uniformity import uniformity


@pytest.fixture
def cloud():
    return torch.nn.functional.normalize(torch.randn(101, 6, dtype=torch.float64), dim=1)


def test_equals_the_papers_formula(cloud):
    for t in (2.0, 3.0):
        expected = torch.pdist(cloud).square().mul(-t).exp().mean().log()
        assert uniformity(cloud, t) == pytest.approx(float(expected), rel=1e-9)


def test_chunks_change_nothing(cloud, monkeypatch):
    whole = uniformity(cloud)
    for elements in (1, 101, 1000):
        monkeypatch.setattr(module, "CHUNK_ELEMENTS", elements)
        assert uniformity(cloud) == pytest.approx(whole, rel=1e-12)


def test_a_collapsed_cloud_is_zero_and_a_spread_one_near_minus_four():
    assert uniformity(torch.eye(1, 4).expand(5, 4)) == 0
    # orthogonal vectors all lie at a squared distance of 2
    assert uniformity(torch.eye(64)) == pytest.approx(-4, abs=1e-6)
