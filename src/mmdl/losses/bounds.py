"""What a contrastive loss is without any knowledge, and how far it can fall at all: the marks of its curve."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdl.losses.chance_level import chance_level
from mmdl.metrics.caption_repeats import CaptionRepeats, IntArray


class LossBounds(NamedTuple):
    """Marks on the axis of a contrastive loss, in nats.

    Attributes:
        chance: The loss of an encoder that can't tell one pair from another.
        floor: The lowest loss that an encoder can reach which gives equal texts equal embeddings, at any temperature.
        distinct_floor: The same, were all captions different: 0 for InfoNCE with one caption an image.
        scale_floor: About the lowest loss with different captions at the given scale: all images apart as far as they
            can be (a regular simplex), each on its captions.
    """

    chance: float
    floor: float
    distinct_floor: float
    scale_floor: float


def loss_bounds(repeats: CaptionRepeats, loss: str, scale: float) -> LossBounds:
    """The marks for one batch; under several ranks, the joined one.

    The chance level is that of `chance_level`. With captions that occur with several images no encoder does better
    than to give each text the shares of those images: the floor of InfoNCE is the entropy of its targets, averaged
    over equal texts, and that of SigLIP the entropy of each image being right for a text.

    Args:
        repeats: The counts of the batch.
        loss: `infonce` or `siglip`.
        scale: Factor on the cosine similarities.

    >>> from mmdl.metrics.caption_repeats import caption_repeats
    >>> one = np.arange(256)
    >>> round(loss_bounds(caption_repeats(one, one, one), "infonce", 100.0).chance, 4)  # ln 256
    5.5452
    >>> same = loss_bounds(caption_repeats(one, one, np.zeros(256, np.int64)), "infonce", 100.0)
    >>> round(same.floor, 6) == round(same.chance, 6), same.distinct_floor
    (True, 0.0)
    """
    assert loss in ("infonce", "siglip"), loss
    return _infonce(repeats, scale) if loss == "infonce" else _siglip(repeats, scale)


def _infonce(repeats: CaptionRepeats, scale: float) -> LossBounds:
    chance = chance_level("infonce", repeats.images, repeats.captions)
    distinct = _targets_entropy(repeats, repeats.of_both)
    groups = repeats.distinct_images
    apart = (groups - 1) * np.exp(-scale * groups / max(1, groups - 1))
    return LossBounds(
        chance,
        _targets_entropy(repeats, repeats.of_text),
        distinct,
        float(min(chance, distinct + np.log1p(apart))),
    )


def _targets_entropy(repeats: CaptionRepeats, of_text: IntArray) -> float:
    """Mean entropy of the targets of captions and images, averaged over `of_text` captions that look the same."""
    count, images, captions = repeats.of_both, repeats.images_of_id, repeats.of_image
    to_image = -(count * np.log(count / (of_text * images))).sum() / repeats.captions
    to_text = -(images * count / captions * np.log(count / (captions * of_text))).sum() / repeats.images
    return float(max(0.0, (to_image + to_text) / 2))


def _siglip(repeats: CaptionRepeats, scale: float) -> LossBounds:
    count, of_text, images = repeats.of_both, repeats.of_text, repeats.images_of_id
    positives, pairs = float((images * count).sum()), float(repeats.images * repeats.captions)
    chance = chance_level("siglip", repeats.images, repeats.captions, round(positives))
    floor = (images * of_text * _entropy(count / of_text)).sum() / repeats.images
    bias = np.linspace(-scale - 40, scale + 40, 4001)
    apart = -scale / max(1, repeats.distinct_images - 1)
    at_bias = positives * np.logaddexp(0, -scale - bias) + (pairs - positives) * np.logaddexp(0, apart + bias)
    best = float(at_bias.min()) / repeats.images
    return LossBounds(chance, float(floor), 0.0, min(chance, best))


def _entropy(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy of a coin in nats."""
    inside, outside = np.clip(share, 1e-300, 1.0), np.clip(1 - share, 1e-300, 1.0)
    return np.asarray(-share * np.log(inside) - (1 - share) * np.log(outside))
