from __future__ import annotations

import torch

from mmdl.losses.soft_bce import soft_bce


def test_equals_the_plain_formula():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], dtype=torch.float64)
    targets = torch.tensor([[1.0, 0.3, 0.0], [0.6, 0.0, 1.0]], dtype=torch.float64)
    p = 1 / (1 + torch.exp(-logits))
    terms = -(targets * torch.log(p) + (1 - targets) * torch.log(1 - p))
    torch.testing.assert_close(soft_bce(logits, targets), terms.sum() / 2)


def test_is_the_mean_over_answers_times_their_number():
    logits, targets = torch.randn(5, 7), torch.rand(5, 7)
    mean = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    torch.testing.assert_close(soft_bce(logits, targets), mean * 7)


def test_half_precision_logits_are_computed_in_float32():
    logits, targets = torch.randn(4, 9).bfloat16(), torch.rand(4, 9)
    loss = soft_bce(logits, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, soft_bce(logits.float(), targets))


def test_no_questions_give_zero():
    assert soft_bce(torch.zeros(0, 3), torch.zeros(0, 3)).item() == 0.0
