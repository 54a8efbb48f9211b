"""A small convolutional image tower that trains from scratch on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from mmdl.errors import UserError, nearest
from mmdl.models.features import ImageFeatures, LayerGroup
from mmdl.models.layers.coordinates import append_coordinates
from mmdl.models.layers.normalize import Normalize
from mmdl.models.layers.weight_standardized_conv import Padding, WeightStandardizedConv2d

Norm = Literal["weight", "group", "batch", "none"]
GROUP_SIZE = 16
"""Channels in a group of the group norm (Wu & He 2018, arXiv:1803.08494, find 16 as good as any)."""


class SmallCNN(nn.Module):
    """Stages of 3x3 convolutions, each of which halves the resolution: 64 px become an 8x8 grid.

    The features of an image don't depend on the other images of the batch, so encoding an image once for all
    its questions equals encoding it for each. `norm="batch"` gives that up while training.

    Args:
        channels: Output channels of each stage.
        depth: Convolutions in a stage; the first has stride 2.
        norm: `weight` (standardized weights: learns fastest), `group`, `none`, or `batch` (makes an image's
            features depend on its batch while training).
        coordinates: Append x and y in [-1, 1] to the pixels (CoordConv). A fusion that reads the grid appends
            them itself, and colours and shapes are learned faster without.
        image_size: Side in pixels that images must have; None for any.
        mean: Mean of each RGB channel in [0, 1], subtracted first.
        std: Standard deviation of each RGB channel in [0, 1].

    Attributes:
        grid_channels: `channels[-1]`.
        pooled_dim: `2 * channels[-1]`: the mean and the maximum over the grid.
    """

    def __init__(
        self,
        channels: Sequence[int] = (32, 64, 96),
        depth: int = 2,
        norm: Norm = "weight",
        coordinates: bool = False,
        image_size: int | None = None,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.25, 0.25, 0.25),
    ) -> None:
        super().__init__()
        if norm not in get_args(Norm):
            raise UserError(f"unknown norm '{norm}'", valid=nearest(norm, get_args(Norm)))
        self.grid_channels = channels[-1]
        self.pooled_dim = 2 * channels[-1]
        self.image_size = image_size
        self.coordinates = coordinates
        self.normalize = Normalize(mean, std)
        widths = [3 + 2 * coordinates, *channels]
        self.stages = nn.ModuleList(
            _stage(before, after, depth, norm, "zeros" if i else "replicate")
            for i, (before, after) in enumerate(pairwise(widths))
        )

    def forward(self, images: Tensor) -> ImageFeatures:
        """Encode images.

        Args:
            images: `(I, 3, H, W)` uint8 RGB.

        Returns:
            Grid `(I, channels[-1], H / 2^stages, W / 2^stages)` and pooled `(I, 2 * channels[-1])`.
        """
        x = self.normalize(images)
        if self.coordinates:
            x = append_coordinates(x)  # (I, 5, H, W)
        for stage in self.stages:
            x = stage(x)
        return ImageFeatures(grid=x, pooled=torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1))

    def layer_groups(self) -> list[LayerGroup]:
        """One group a stage, from the pixels up."""
        return [LayerGroup(f"stages.{i}", [stage]) for i, stage in enumerate(self.stages)]


def _stage(before: int, after: int, depth: int, norm: Norm, padding: Padding) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        shape = (before, after, 3, 2) if i == 0 else (after, after, 3, 1)
        layers += _convolution(*shape, norm, padding if i == 0 else "zeros")
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _convolution(
    before: int, after: int, side: int, stride: int, norm: Norm, padding: Padding
) -> list[nn.Module]:
    """A convolution with what normalises it; `padding` is how the border is padded."""
    if norm == "weight":
        return [WeightStandardizedConv2d(before, after, side, stride, padding)]
    convolution = nn.Conv2d(before, after, side, stride, side // 2, padding_mode=padding)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    if norm == "batch":
        return [convolution, nn.BatchNorm2d(after)]
    if norm == "group":
        return [convolution, nn.GroupNorm(max(1, after // GROUP_SIZE), after)]
    return [convolution]
