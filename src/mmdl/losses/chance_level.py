"""What a contrastive loss is before anything is learned."""

from __future__ import annotations

import math
from typing import Literal


def chance_level(
    loss: Literal["infonce", "siglip"], images: int, captions: int, positives: int | None = None
) -> float:
    """The loss of embeddings that say nothing about who belongs to whom, in nats.

    InfoNCE: all logits of a row are equal, so an image's cross-entropy against its captions is `ln(captions)`, however
    many of them are its positives, and a caption's against the images is `ln(images)`. The loss is the mean of the two:
    `ln(images)` with one caption each. A run that stays there does not learn. Its lower bound is not 0 with several
    captions an image: the target has an entropy, so `n` captions each leave at least `ln(n) / 2`.

    SigLIP: all logits are one number, the bias. The best one makes the sigmoid the share `p = captions /
    (images * captions) = 1 / images` of positives, and each pair costs the entropy `H(p)`; a sum over the captions is
    the loss of an image: `captions * H(1 / images)`, about `ln(images) + 1` with one caption each. A bias away from
    that costs more, so a run may start above it.

    Args:
        loss: Name of the loss.
        images: In the joined batch of all ranks.
        captions: Likewise; each belongs to one image.
        positives: Pairs that belong together, where an image is there more than once; None: one a caption.

    Returns:
        At least 0.

    >>> round(chance_level("infonce", 256, 256), 4), round(math.log(256), 4)
    (5.5452, 5.5452)
    >>> round(chance_level("infonce", 256, 512) - math.log(256), 4)  # ln(2) / 2
    0.3466
    >>> round(chance_level("siglip", 256, 256) - math.log(256), 3)
    0.998
    """
    if loss == "infonce":
        return (math.log(images) + math.log(captions)) / 2
    share = (captions if positives is None else positives) / (images * captions)
    rest = 1 - share
    return -captions * (share * math.log(share) + (rest * math.log(rest) if rest else 0.0))
