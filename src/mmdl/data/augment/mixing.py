"""What mixup and cutmix share: partners within the batch, and targets that are shared out between them."""

from __future__ import annotations

import torch
from torch import Tensor

from mmdl.batch import ImageBatch
from mmdl.data.augment.draws import Draws


def pair_draw(draws: Draws) -> Tensor:
    """`(N,)` float32 in [0, 1): one number for both images of a pair, the same for every step of the batch.

    The partner of an image is the one at its place in the reversed batch. Mixup takes the pairs below its probability
    and cutmix those from one less its probability on: with 0.5 each, every pair is mixed in exactly one way.
    """
    own = draws.shared()
    place = torch.arange(len(own), device=own.device)
    return own.where(place <= len(own) - 1 - place, own.flip(0))


def mixed_targets(batch: ImageBatch, share: Tensor, num_classes: int) -> Tensor:
    """`(N, K)` float32 probability of each class after mixing.

    Args:
        batch: With `targets` of an earlier step, or labels.
        share: `(N,)` float32: how much of each image is its own; the rest is its partner's.
        num_classes: `K`.
    """
    targets = batch.get("targets")
    if targets is None:
        labels = batch["labels"]
        targets = torch.zeros(len(labels), num_classes, device=labels.device)
        targets = targets.scatter(1, labels.unsqueeze(1), 1.0)
    return targets.flip(0).lerp(targets, share.unsqueeze(1))
