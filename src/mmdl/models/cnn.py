"""The plain convolutional network of the textbooks: Convolution, ReLU, Pooling, Flatten, Fully connected, Softmax."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from mmdl.batch import ImageBatch
from mmdl.errors import UserError, nearest
from mmdl.models.features import LayerGroup
from mmdl.models.layers.normalize import Normalize

Norm = Literal["batch", "group", "none"]
NormPosition = Literal["convolution", "stage"]
Pooling = Literal["max", "average"]
GROUP_SIZE = 16
"""Channels in a group of the group norm (Wu and He 2018, arXiv:1803.08494)."""


class CNN(nn.Module):
    """Stages of convolutions that end in a pooling, then fully connected layers.

    `layers` is an `nn.Sequential` of named layers whose composition is the network, from the pixels to the logits:
    what is printed, inspected and multiplied as Jacobians is what computes. The softmax is the loss's.

    A setting of a stage is one value for all stages, or a list with one value a stage.

    Args:
        in_channels: `C` of the images.
        image_size: Their height and width `H = W` in pixels.
        num_classes: `K`.
        channels: Output channels of each stage; their number is the number of stages.
        depth: Convolutions in a stage.
        kernel: Side of the kernels, odd; borders are padded so that the size stays.
        pooling: Side and stride of the pooling at the end of a stage; 1 for none.
        pooling_kind: `max` or `average`.
        global_pooling: Average over all positions before the fully connected layers, which then take images of any
            size; otherwise the last feature map is flattened.
        hidden: Sizes of the hidden fully connected layers; may be empty.
        dropout: Share of inputs of each fully connected layer that is set to zero while training, in [0, 1).
        norm: `batch`, `group` or `none`.
        norm_position: `convolution` normalises between each convolution and its ReLU; `stage` at the end of a stage
            only, after its pooling, where a quarter of the numbers is left: the cheaper place on a CPU.
        mean: Mean of each channel in [0, 1], subtracted first; None for 0.5.
        std: Standard deviation of each channel in [0, 1]; None for 0.25.

    Raises:
        UserError: if a setting is not valid, or the image is pooled away.
    """

    consumes = ImageBatch
    one_tower = True

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        num_classes: int,
        channels: Sequence[int] = (32, 64),
        depth: int | Sequence[int] = 1,
        kernel: int | Sequence[int] = 3,
        pooling: int | Sequence[int] = 2,
        pooling_kind: Pooling = "max",
        global_pooling: bool = False,
        hidden: Sequence[int] = (128,),
        dropout: float = 0.0,
        norm: Norm = "batch",
        norm_position: NormPosition = "convolution",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        _check(norm, norm_position, pooling_kind, dropout)
        inside, outside = (norm != "none" and norm_position == place for place in get_args(NormPosition))
        self.in_channels = in_channels
        self.image_size = None if global_pooling else image_size
        settings = zip(channels, *(_each(value, channels) for value in (depth, kernel, pooling)), strict=True)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["normalize"] = Normalize(mean or [0.5] * in_channels, std or [0.25] * in_channels)
        width, side, number = in_channels, image_size, 0
        for stage, (out, convolutions, size, pool) in enumerate(settings, start=1):
            if size % 2 == 0:
                raise UserError(f"model.kernel={size} is even", valid="1, 3, 5, ...: the size then stays")
            for _ in range(convolutions):
                number += 1
                layers[f"convolution{number}"] = _convolution(width, out, size, bias=not inside)
                if inside:
                    layers[f"norm{number}"] = _norm(norm, out)
                layers[f"relu{number}"] = nn.ReLU()
                width = out
            if pool > 1:
                if side < pool:
                    raise UserError(
                        f"stage {stage} pools {pool} x {pool} pixels, and {side} x {side} are left of {image_size}",
                        valid="fewer or smaller poolings, or larger images",
                        fix="model.pooling=1, fewer model.channels, or data.image_size=64",
                    )
                layers[f"pooling{stage}"] = (nn.MaxPool2d if pooling_kind == "max" else nn.AvgPool2d)(pool)
                side //= pool
            if outside:
                layers[f"norm{stage}"] = _norm(norm, out)
        if global_pooling:
            layers["global_pooling"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        width *= 1 if global_pooling else side * side
        for count, out in enumerate(hidden, start=1):
            if dropout:
                layers[f"dropout{count}"] = nn.Dropout(dropout)
            layers[f"fully_connected{count}"] = nn.Linear(width, out)
            layers[f"relu_fully_connected{count}"] = nn.ReLU()
            width = out
        if dropout:
            layers[f"dropout{len(hidden) + 1}"] = nn.Dropout(dropout)
        layers[f"fully_connected{len(hidden) + 1}"] = nn.Linear(width, num_classes)
        self.layers = nn.Sequential(layers)

    def forward(self, images: Tensor) -> Tensor:
        """Logits.

        Args:
            images: `(N, C, H, W)` uint8, or float in [0, 255].

        Returns:
            `(N, K)` float.
        """
        logits: Tensor = self.layers(images)
        return logits

    def layer_groups(self) -> list[LayerGroup]:
        """One group a layer with parameters, a norm with its convolution: `convolution1`, ..., `fully_connected2`."""
        groups: list[LayerGroup] = []
        for name, layer in self.layers.named_children():
            if name.startswith("norm") and name != "normalize":
                groups[-1].modules.append(layer)
            elif list(layer.parameters()):
                groups.append(LayerGroup(name, [layer]))
        return groups


def _each(value: int | Sequence[int], channels: Sequence[int]) -> Sequence[int]:
    """One value a stage."""
    values = [value] * len(channels) if isinstance(value, int) else list(value)
    if len(values) != len(channels):
        raise UserError(
            f"model.channels has {len(channels)} stages, and a setting has {len(values)} values: {values}",
            valid="one value, or one a stage",
        )
    return values


def _check(norm: str, norm_position: str, pooling_kind: str, dropout: float) -> None:
    for name, value, valid in (
        ("norm", norm, get_args(Norm)),
        ("norm_position", norm_position, get_args(NormPosition)),
        ("pooling_kind", pooling_kind, get_args(Pooling)),
    ):
        if value not in valid:
            raise UserError(f"model.{name}={value!r} is unknown", valid=nearest(value, valid))
    if not 0 <= dropout < 1:
        raise UserError(f"model.dropout={dropout}", valid="a share in [0, 1)", fix="model.dropout=0.2")


def _convolution(before: int, after: int, side: int, *, bias: bool) -> nn.Conv2d:
    convolution = nn.Conv2d(before, after, side, padding=side // 2, bias=bias)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")  # He et al. 2015
    if convolution.bias is not None:
        torch.nn.init.zeros_(convolution.bias)
    return convolution


def _norm(norm: str, channels: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(max(1, channels // GROUP_SIZE), channels)
