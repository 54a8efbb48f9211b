"""Pixels as features: what a classifier reaches without any encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmdl.data.image_dataset import CHUNK, ImageDataset
from mmdl.data.sampler import IntArray


def raw_pixels(dataset: ImageDataset, rows: IntArray, size: int) -> Tensor:
    """Images, made smaller, as vectors.

    Args:
        dataset: The images.
        rows: `(N,)` which ones.
        size: Pixels a side; smaller images stay as they are.

    Returns:
        `(N, 3 * size * size)` float32 in [0, 1], on the CPU.
    """
    parts = []
    for start in range(0, len(rows), CHUNK):
        images = dataset[rows[start : start + CHUNK]]["images"].cpu().float() / 255
        if images.shape[-1] > size:
            images = nn.functional.interpolate(images, (size, size), mode="area")
        parts.append(images.flatten(1))
    return torch.cat(parts)
