"""The modality gap: how far the images lie from the texts in the common space."""

from __future__ import annotations

import torch
from torch import Tensor


def modality_gap(image: Tensor, text: Tensor) -> float:
    """Euclidean distance between the mean image embedding and the mean text embedding.

    Source: Liang et al. 2022, "Mind the Gap", arXiv:2203.02053, section 2.

    Args:
        image: `(I, D)` float, each row of length 1.
        text: `(T, D)` float, each row of length 1.

    Returns:
        A distance in [0, 2]: 0 where the centres agree.

    >>> modality_gap(torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 0.0]]))
    2.0
    """
    return float(torch.linalg.vector_norm(image.double().mean(0) - text.double().mean(0)))
