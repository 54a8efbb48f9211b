"""Convolution with standardized weights: the good of batch norm without the batch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Padding = Literal["zeros", "replicate"]
GAIN = 1.7
"""Undoes what a ReLU takes off the standard deviation: sqrt(2 / (1 - 1 / pi)) (Brock et al. 2021, section 3)."""
EPS = 1e-6


class WeightStandardizedConv2d(nn.Conv2d):
    """`nn.Conv2d` whose filters have zero mean and unit norm, times a learned gain per output channel.

    A zero-mean filter does not answer to a constant background, so features start centred, as after batch norm, but
    an image's features don't depend on the other images of the batch.

    Source: Qiao et al. 2019, "Weight Standardization" (arXiv:1903.10520); with gain: Brock et al. 2021,
    "Characterizing signal propagation to close the performance gap in unnormalized ResNets" (arXiv:2101.08692).

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel_size: Side of the square filters, odd.
        stride: Step between outputs, in cells.
        padding_mode: `zeros`, or `replicate`, where the border of a plain image is no edge.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding_mode: Padding = "zeros",
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, padding_mode=padding_mode
        )
        self.gain = nn.Parameter(torch.full((out_channels, 1, 1, 1), GAIN))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, in_channels, h, w)` -> `(N, out_channels, h / stride, w / stride)`."""
        return self._conv_forward(x, self.standardized_weight(), self.bias)

    def standardized_weight(self) -> Tensor:
        """`(out_channels, in_channels, k, k)`: zero mean, norm `gain`, per output channel."""
        centred = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        norm = (centred.square().sum(dim=(1, 2, 3), keepdim=True) + EPS).rsqrt()
        return centred * (norm * self.gain)
