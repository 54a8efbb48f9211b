"""The sigmoid loss of SigLIP, for images that have several captions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl.losses.pairs import Pairs


def siglip(pairs: Pairs, scale: Tensor, bias: Tensor | None = None, everyone: Pairs | None = None) -> Tensor:
    """Binary cross-entropy of every image with every text, summed, over the number of images.

    Source: Zhai et al. 2023, arXiv:2303.15343, algorithm 1. What unrelated embeddings give is in `chance_level`.

    Args:
        pairs: Embeddings of a batch.
        scale: Scalar: the factor on the cosine similarities.
        bias: Scalar that is added to the logits; None adds nothing.
        everyone: The pairs of all ranks, from `gathered`. The value is then the part of the joined batch's loss that
            the images of `pairs` have in it: summed over the ranks it is the loss of one process on the joined batch.

    Returns:
        Scalar float32 (float64 for float64 embeddings).
    """
    everyone = pairs if everyone is None else everyone
    with torch.autocast(pairs.image.device.type, enabled=False):
        logits = scale * pairs.image @ everyone.text.T  # (I, T)
        if bias is not None:
            logits = logits + bias
        positive = pairs.image_ids[:, None] == everyone.caption_ids[None, :]  # (I, T)
        return -F.logsigmoid(torch.where(positive, logits, -logits)).sum() / len(everyone.image)
