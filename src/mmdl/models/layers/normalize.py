"""Pixels to what a backbone expects."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """`(pixels / 255 - mean) / std`, by channel, in the precision of the buffers.

    The buffers are no part of the state dict; they are part of the printed module, so that a cache which is keyed
    by weights and printed structure knows them.

    Args:
        mean: Mean of each channel in [0, 1].
        std: Standard deviation of each channel in [0, 1].

    >>> Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)).flatten()
    tensor([2., 2., 2.])
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(list(mean)).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(list(std)).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """`(I, C, H, W)` uint8, or float, in [0, 255] -> `(I, C, H, W)` float."""
        return (images.to(self.mean.dtype) / 255 - self.mean) / self.std

    def extra_repr(self) -> str:
        """Mean and standard deviation."""
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}"
