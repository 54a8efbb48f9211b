"""Gated hyperbolic tangent, the non-linearity of Bottom-Up and Top-Down attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedTanh(nn.Module):
    """`tanh(W x + b) * sigmoid(W' x + b')`.

    Source: Teney et al. 2018, "Tips and Tricks for VQA" (arXiv:1708.02711), equations 1 to 3; Anderson et al.
    2018, "Bottom-Up and Top-Down Attention" (arXiv:1707.07998), equations 1 to 3.

    Args:
        in_dim: Size of the input's last dimension.
        out_dim: Size of the output's last dimension.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.value_and_gate = nn.Linear(in_dim, 2 * out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., in_dim)` -> `(..., out_dim)`, in (-1, 1)."""
        value, gate = self.value_and_gate(x).chunk(2, dim=-1)
        return torch.tanh(value) * torch.sigmoid(gate)
