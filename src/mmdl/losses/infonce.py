"""InfoNCE with several positives: the loss of CLIP, for images that have several captions."""

from __future__ import annotations

import torch
from torch import Tensor

from mmdl.losses.pairs import Pairs


def infonce(pairs: Pairs, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """Mean of the cross-entropies image -> texts and text -> images, each against all positives in equal parts.

    With one caption an image it is the loss of CLIP (Radford et al. 2021, arXiv:2103.00020, figure 3); the target of
    several positives is that of UniCL (Yang et al. 2022, arXiv:2204.03610). Unrelated embeddings give about
    `ln(number of images)`, with one caption each.

    Args:
        pairs: Embeddings of a batch.
        scale: Scalar: the factor on the cosine similarities (the inverse temperature).
        bias: Without effect on the value; for the signature that losses share.

    Returns:
        Scalar float32 (float64 for float64 embeddings).

    >>> image = torch.eye(2)
    >>> one = torch.arange(2)
    >>> round(float(infonce(Pairs(image, image, one, one), torch.tensor(100.0))), 6)
    0.0
    """
    with torch.autocast(pairs.image.device.type, enabled=False):
        logits = scale * pairs.image @ pairs.text.T  # (I, T)
        positive = pairs.image_ids[:, None] == pairs.caption_ids[None, :]  # (I, T)
        return (_cross_entropy(logits, positive) + _cross_entropy(logits.T, positive.T)) / 2


def _cross_entropy(logits: Tensor, positive: Tensor) -> Tensor:
    matched = torch.where(positive, logits, 0).sum(1) / positive.sum(1)
    return (logits.logsumexp(1) - matched).mean()
