"""The effective rank against singular values, and of matrices whose rank is known."""

import math

import pytest
import torch

from mmdl.metrics import effective_rank as module
from mmdl.metrics.effective_rank import effective_rank


@pytest.mark.parametrize("shape", [(200, 12), (9, 40), (20, 20)])
def test_equals_the_entropy_of_the_singular_values(shape):
    matrix = torch.randn(shape, dtype=torch.float64)
    values = torch.linalg.svdvals(matrix)
    shares = values / values.sum()
    assert effective_rank(matrix) == pytest.approx(float((-(shares * shares.log()).sum()).exp()), rel=1e-9)


def test_known_spectra():
    assert effective_rank(torch.cat([torch.eye(5), torch.eye(5)])) == pytest.approx(5)
    assert effective_rank(torch.diag(torch.tensor([3.0, 1.0, 0.0]))) == pytest.approx(
        math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    )
    assert effective_rank(torch.randn(1000, 1) @ torch.randn(1, 256)) == pytest.approx(1, abs=1e-3)


def test_chunks_change_nothing(monkeypatch):
    matrix = torch.randn(100, 8)
    whole = effective_rank(matrix)
    monkeypatch.setattr(module, "CHUNK_ROWS", 7)
    assert effective_rank(matrix) == pytest.approx(whole, rel=1e-9)
