"""Mixes pairs of images and their classes (Zhang et al. 2018, arXiv:1710.09412)."""

from __future__ import annotations

import torch

from mmdl.batch import ImageBatch
from mmdl.data.augment.beta import symmetric_beta
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.length import check_range
from mmdl.data.augment.mixing import mixed_targets, pair_draw


class Mixup:
    """`share * image + (1 - share) * partner`, targets likewise; the share is Beta(alpha, alpha) for each image.

    The partner of an image is the one at its place in the reversed batch (the middle one of an odd number is left as
    it is), so what an image becomes depends on its batch: on another number of ranks it becomes something else.

    Args:
        alpha: Of the Beta distribution; the larger, the more of both images.
        probability: Share of the pairs that is mixed, in [0, 1]. With cutmix in the same list no pair is mixed twice
            as long as both probabilities sum up to 1 at most.

    Raises:
        UserError: if a setting is not valid.
    """

    mixes = True

    def __init__(self, alpha: float = 0.2, probability: float = 1.0) -> None:
        check_range("mixup.alpha", alpha, 1e-3, float("inf"))
        check_range("mixup.probability", probability, 0, 1)
        self.alpha = alpha
        self.probability = probability

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Mix the images; float in [0, 255], with `targets`."""
        images = batch["images"].float()
        share = symmetric_beta(draws, self.alpha)
        share = share.where(pair_draw(draws) < self.probability, torch.ones_like(share))
        mixed = images.flip(0).lerp(images, share.view(-1, 1, 1, 1))
        return {**batch, "images": mixed, "targets": mixed_targets(batch, share, num_classes)}
