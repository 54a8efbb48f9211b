"""Binary cross-entropy on soft answer scores."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def soft_bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy with soft targets, summed over answers, averaged over questions.

    Source: Teney et al. 2018, "Tips and Tricks for VQA" (arXiv:1708.02711), equation 5. The sum over answers
    is the customary scale (the mean over answers times their number, as in
    hengyuan-hu/bottom-up-attention-vqa).

    Args:
        logits: `(Q, A)` float of any precision; computed in float32 at least.
        targets: `(Q, A)` float in [0, 1]: soft score of each answer.

    Returns:
        Scalar, >= 0; 0 without questions.

    >>> import torch
    >>> soft_bce(torch.zeros(1, 3), torch.tensor([[1.0, 0.3, 0.0]]))  # 3 ln 2
    tensor(2.0794)
    """
    logits, targets = _at_least_float32(logits), _at_least_float32(targets)
    total = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return total / max(1, logits.shape[0])


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor if tensor.element_size() > 4 else tensor.float()
