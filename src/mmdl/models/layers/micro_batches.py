"""A large batch encoded a part at a time: its features are kept, the activations of one part exist at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmdl.batch import ImageTextBatch
from mmdl.models.contrastive import Embeddings

OF_IMAGES = ("images", "image_features")
OF_CAPTIONS = ("tokens", "token_mask", "text_features")


def encoded_in_parts(model: nn.Module, batch: ImageTextBatch, size: int) -> Embeddings:
    """The embeddings of a batch, encoded in parts that the backward pass encodes again, one after the other.

    The loss sees the whole batch, so its value and gradients are those of the large batch; the price is a second
    forward pass. It is the feature cache of GradCache (Gao et al. 2021, arXiv:2101.06983), on autograd's own
    checkpoints: dropout draws the same numbers in both passes, and a strategy that reduces gradients does it once.

    Args:
        model: A `ContrastiveModel` whose embedding of a sample does not depend on the other samples.
        batch: Any; a batch of at most `size` images is encoded as it is.
        size: Images in a part, at most. The captions are cut into as many parts.

    Returns:
        `(I, D)` and `(T, D)`.
    """
    count = -(-len(batch["rows"]) // size)
    if count == 1:
        whole: Embeddings = model(batch)
        return whole
    parts: list[dict[str, Any]] = [{} for _ in range(count)]
    for names, like in ((OF_IMAGES, "rows"), (OF_CAPTIONS, "caption_rows")):
        for name in (*names, like):
            if name in batch:
                for part, values in zip(parts, batch[name].tensor_split(count), strict=True):  # type: ignore[literal-required]
                    part[name] = values
    encoded = [checkpoint(model, part, use_reentrant=False) for part in parts]
    return Embeddings(torch.cat([e.image for e in encoded]), torch.cat([e.text for e in encoded]))
