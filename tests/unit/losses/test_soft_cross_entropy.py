from __future__ import annotations

import torch
from torch.nn import functional

from mmdl.losses.soft_cross_entropy import soft_cross_entropy


def test_equals_the_plain_formula():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], dtype=torch.float64)
    targets = torch.tensor([[1.0, 0.3, 0.0], [0.6, 0.0, 1.0]], dtype=torch.float64)
    log_p = logits - torch.log(torch.exp(logits).sum(1, keepdim=True))
    share = torch.tensor([[1 / 1.3, 0.3 / 1.3, 0.0], [0.375, 0.0, 0.625]], dtype=torch.float64)
    torch.testing.assert_close(soft_cross_entropy(logits, targets), -(share * log_p).sum() / 2)


def test_one_hot_targets_give_the_usual_cross_entropy():
    logits, labels = torch.randn(6, 4), torch.tensor([0, 3, 2, 1, 1, 0])
    one_hot = functional.one_hot(labels, 4).float()
    torch.testing.assert_close(soft_cross_entropy(logits, one_hot), functional.cross_entropy(logits, labels))


def test_a_row_without_target_adds_nothing_but_counts():
    logits, targets = torch.randn(3, 4), torch.rand(3, 4)
    targets[1] = 0
    logits.requires_grad_()
    loss = soft_cross_entropy(logits, targets)
    kept = soft_cross_entropy(logits[[0, 2]], targets[[0, 2]])
    torch.testing.assert_close(loss, kept * 2 / 3)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[1].abs().sum() == 0


def test_half_precision_logits_are_computed_in_float32():
    logits, targets = torch.randn(4, 9).bfloat16(), torch.rand(4, 9)
    assert soft_cross_entropy(logits, targets).dtype == torch.float32
