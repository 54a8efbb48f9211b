"""What an augmentation is: a function of a whole batch, on the device that trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mmdl.batch import ImageBatch
from mmdl.data.augment.draws import Draws


class Augmentation(Protocol):
    """One step. It returns a new batch and leaves the tensors that it was given as they were.

    Images may come in and go out as uint8 or as float in [0, 255]. A step with `mixes = True` makes targets of two
    images from their classes; it has no meaning for images with captions.
    """

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Change a training batch.

        Args:
            batch: Images with labels.
            draws: Random numbers of each sample; the only source of randomness.
            progress: Share of the training that is done, in [0, 1).
            num_classes: Size of the classes, for augmentations that mix labels.
        """


def augmented(
    batch: ImageBatch,
    steps: Sequence[Augmentation],
    *,
    seed: int,
    epoch: int,
    progress: float,
    num_classes: int,
) -> ImageBatch:
    """The batch after all steps, in their order."""
    draws = Draws(batch["rows"], seed, epoch)
    for step in steps:
        batch = step(batch, draws, progress, num_classes)
    return batch
