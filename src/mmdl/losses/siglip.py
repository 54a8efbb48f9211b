"""The sigmoid loss of SigLIP, for images that have several captions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl.losses.pairs import Pairs


def siglip(pairs: Pairs, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of every image with every text, summed, over the number of images.

    Source: Zhai et al. 2023, arXiv:2303.15343, algorithm 1.

    Args:
        pairs: Embeddings of a batch.
        scale: Scalar: the factor on the cosine similarities.
        bias: Scalar that is added to the logits; None adds nothing.

    Returns:
        Scalar float32 (float64 for float64 embeddings).
    """
    with torch.autocast(pairs.image.device.type, enabled=False):
        logits = scale * pairs.image @ pairs.text.T  # (I, T)
        if bias is not None:
            logits = logits + bias
        positive = pairs.image_ids[:, None] == pairs.caption_ids[None, :]  # (I, T)
        return -F.logsigmoid(torch.where(positive, logits, -logits)).sum() / len(logits)
