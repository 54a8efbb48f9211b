"""A constant factor as a layer."""

from __future__ import annotations

from torch import Tensor, nn


class Scale(nn.Module):
    """Multiplies by a constant, such as that on the logits of networks that train fast (Page 2018).

    Args:
        factor: The constant.

    >>> import torch
    >>> Scale(0.5)(torch.ones(2))
    tensor([0.5000, 0.5000])
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """`x * factor`."""
        return x * self.factor

    def extra_repr(self) -> str:
        """The factor."""
        return f"{self.factor}"
