"""InfoNCE with several positives: the loss of CLIP, for images that have several captions."""

from __future__ import annotations

import torch
from torch import Tensor

from mmdl.losses.pairs import Pairs


def infonce(pairs: Pairs, scale: Tensor, bias: Tensor | None = None, everyone: Pairs | None = None) -> Tensor:
    """Mean of the cross-entropies image -> texts and text -> images, each against all positives in equal parts.

    With one caption an image it is the loss of CLIP (Radford et al. 2021, arXiv:2103.00020, figure 3); the target of
    several positives is that of UniCL (Yang et al. 2022, arXiv:2204.03610). What unrelated embeddings give is in
    `chance_level`.

    Args:
        pairs: Embeddings of a batch.
        scale: Scalar: the factor on the cosine similarities (the inverse temperature).
        bias: Without effect on the value; for the signature that losses share.
        everyone: The pairs of all ranks, from `gathered`. The value is then the part of the joined batch's loss that
            `pairs` has in it: summed over the ranks it is the loss of one process on the joined batch.

    Returns:
        Scalar float32 (float64 for float64 embeddings).

    >>> image = torch.eye(2)
    >>> one = torch.arange(2)
    >>> round(float(infonce(Pairs(image, image, one, one), torch.tensor(100.0))), 6)
    0.0
    """
    with torch.autocast(pairs.image.device.type, enabled=False):
        if everyone is None:
            logits = scale * pairs.image @ pairs.text.T  # (I, T)
            positive = pairs.image_ids[:, None] == pairs.caption_ids[None, :]  # (I, T)
            return (_losses(logits, positive, 1).mean() + _losses(logits, positive, 0).mean()) / 2
        to_texts = _losses(
            scale * pairs.image @ everyone.text.T,
            pairs.image_ids[:, None] == everyone.caption_ids[None, :],
            1,
        )  # (I,)
        to_images = _losses(
            scale * pairs.text @ everyone.image.T,
            pairs.caption_ids[:, None] == everyone.image_ids[None, :],
            1,
        )  # (T,)
        return (to_texts.sum() / len(everyone.image) + to_images.sum() / len(everyone.text)) / 2


def _losses(logits: Tensor, positive: Tensor, dim: int) -> Tensor:
    """The cross-entropy of each row (`dim=1`) or each column (`dim=0`)."""
    matched = torch.where(positive, logits, 0).sum(dim) / positive.sum(dim, dtype=logits.dtype)
    # `torch.logsumexp` takes the exponentials again in the backward pass, with two more matrices at its peak.
    largest = logits.detach().amax(dim, keepdim=True)
    normalizer = (logits - largest).exp_().sum(dim).log() + largest.squeeze(dim)
    return normalizer - matched
