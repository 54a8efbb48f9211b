"""Cross-entropy on soft answer scores."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with soft targets, each row scaled to sum to 1, averaged over questions.

    A question whose targets are all 0 (its answers fall out of the vocabulary) contributes 0 and still counts
    in the mean, so that the gradient's scale does not depend on the vocabulary.

    Args:
        logits: `(Q, A)` float of any precision; computed in float32 at least.
        targets: `(Q, A)` float in [0, 1]: soft score of each answer.

    Returns:
        Scalar, >= 0; 0 without questions.

    >>> import torch
    >>> soft_cross_entropy(torch.zeros(2, 4), torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 0, 0]]))  # ln 4 / 2
    tensor(0.6931)
    """
    logits, targets = _at_least_float32(logits), _at_least_float32(targets)
    total = targets.sum(dim=1, keepdim=True)  # (Q, 1)
    share = targets / total.where(total > 0, 1.0)
    return -(share * F.log_softmax(logits, dim=1)).sum() / max(1, logits.shape[0])


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor if tensor.element_size() > 4 else tensor.float()
