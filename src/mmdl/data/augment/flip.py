"""Mirrors images left to right."""

from __future__ import annotations

from mmdl.batch import ImageBatch
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.length import check_range
from mmdl.data.augment.select import select


class Flip:
    """Mirrors each image with a probability.

    Args:
        probability: In [0, 1].
        alternate: In every second epoch mirror exactly those that were not mirrored in the one before, so that each
            image is seen both ways (Jordan 2024, arXiv:2404.00498).

    Raises:
        UserError: if the probability is not one.
    """

    def __init__(self, probability: float = 0.5, alternate: bool = False) -> None:
        check_range("flip.probability", probability, 0, 1)
        self.probability = probability
        self.alternate = alternate

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Mirror some images."""
        images = batch["images"]
        if self.alternate:
            chosen = (draws.constant() < self.probability) ^ bool(draws.epoch % 2)
        else:
            chosen = draws.uniform(1)[:, 0] < self.probability
        return {**batch, "images": select(chosen.view(-1, 1, 1, 1), images.flip(3), images)}
