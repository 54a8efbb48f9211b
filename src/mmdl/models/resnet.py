"""Residual networks for small images: a 3x3 stem in place of the 7x7 stride-2 one that ImageNet needs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from mmdl.batch import ImageBatch
from mmdl.errors import UserError
from mmdl.models.features import LayerGroup
from mmdl.models.layers.layer_split import named_layers
from mmdl.models.layers.normalize import Normalize
from mmdl.models.layers.scale import Scale


class ResNet(nn.Module):
    """ResNet-9 or ResNet-18 for images of about 32 pixels.

    ResNet-18 is He et al. 2016 (arXiv:1512.03385) with the stem of their CIFAR networks and torchvision's blocks.
    ResNet-9 is the network of the DAWNBench entries for CIFAR-10 (Page 2018): eight convolutions, of which two
    pairs are residual, and a small factor on the logits. `layers` is an `nn.Sequential` of named stages.

    Args:
        in_channels: `C` of the images.
        num_classes: `K`.
        depth: 9 or 18.
        width: Channels of the first stage; the last has eight times as many.
        dropout: Before the classifier, in [0, 1).
        mean: Mean of each channel in [0, 1], subtracted first; None for 0.5.
        std: Standard deviation of each channel in [0, 1]; None for 0.25.

    Raises:
        UserError: if the depth is another one.
    """

    consumes = ImageBatch
    one_tower = True

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        depth: Literal[9, 18] = 9,
        width: int = 64,
        dropout: float = 0.0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if depth not in (9, 18):
            raise UserError(f"model.depth={depth}", valid="9, 18; for others: model=timm")
        self.in_channels = in_channels
        self.image_size = None
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["normalize"] = Normalize(mean or [0.5] * in_channels, std or [0.25] * in_channels)
        layers["stem"] = _convolution(in_channels, width)
        layers |= _stages_of_9(width) if depth == 9 else _stages_of_18(width)
        layers["pooling"] = nn.AdaptiveMaxPool2d(1) if depth == 9 else nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        if dropout:
            layers["dropout"] = nn.Dropout(dropout)
        layers["fully_connected"] = nn.Linear(8 * width, num_classes, bias=depth == 18)
        if depth == 9:
            layers["scale"] = Scale(0.125)
        self.layers = nn.Sequential(layers)

    def forward(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` uint8, or float in [0, 255], to `(N, K)` float logits."""
        logits: Tensor = self.layers(images)
        return logits

    def layer_groups(self) -> list[LayerGroup]:
        """`stem`, `stage1` to `stage4` (of ResNet-9 to `stage3`), `fully_connected`."""
        return named_layers(self.layers)


def _convolution(before: int, after: int, pool: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU and, where asked for, max pooling."""
    parts: list[nn.Module] = [
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*parts, *([nn.MaxPool2d(pool)] if pool > 1 else []))


class Residual(nn.Module):
    """`x + block(x)`.

    Args:
        block: Keeps the shape.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """The sum, of the shape of `x`."""
        return x + self.block(x)


def _stages_of_9(width: int) -> OrderedDict[str, nn.Module]:
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for number, residual in enumerate((True, False, True), start=1):
        before, after = width * 2 ** (number - 1), width * 2**number
        parts: list[nn.Module] = [_convolution(before, after, pool=2)]
        if residual:
            parts.append(Residual(nn.Sequential(_convolution(after, after), _convolution(after, after))))
        stages[f"stage{number}"] = nn.Sequential(*parts)
    return stages


def _stages_of_18(width: int) -> OrderedDict[str, nn.Module]:
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    before = width
    for number in range(1, 5):
        after, stride = width * 2 ** (number - 1), 1 if number == 1 else 2
        shortcut = None
        if stride > 1:
            shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        stages[f"stage{number}"] = nn.Sequential(
            BasicBlock(before, after, stride, shortcut), BasicBlock(after, after)
        )
        before = after
    return stages
