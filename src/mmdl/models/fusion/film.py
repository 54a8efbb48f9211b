"""Feature-wise linear modulation of the image grid by the question."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdl.models.features import ImageFeatures, QuestionFeatures
from mmdl.models.layers.coordinates import append_coordinates

Norm = Literal["none", "group"]
GROUP_SIZE = 16
"""Channels in a group of the group norm."""


class FiLM(nn.Module):
    """Residual convolution blocks whose channels the question scales and shifts, then global pooling.

    Source: Perez et al. 2018, "FiLM: Visual Reasoning with a General Conditioning Layer" (arXiv:1709.07871).
    Different here: group norm or none instead of batch norm (an image's result must not depend on its batch), maximum
    and mean pooling instead of the maximum alone, and all of the first block that precedes its modulation
    runs once an image instead of once a question.

    Args:
        grid_channels: Channels `C` of the image grid.
        image_dim: Unused; every fusion takes the four sizes.
        token_dim: Unused.
        question_dim: Size `E` of the pooled question feature.
        channels: Channels of the blocks.
        blocks: Number of blocks, at least 1.
        norm: `none` or `group`, before the modulation and without a scale of its own.
        question_to_head: Append the question's feature to the output, so that the classifier knows the
            question too.

    Attributes:
        out_dim: `2 * channels`, plus `E` with `question_to_head`.
    """

    uses_grid = True
    uses_tokens = False

    def __init__(
        self,
        grid_channels: int,
        image_dim: int,
        token_dim: int,
        question_dim: int,
        channels: int = 64,
        blocks: int = 2,
        norm: Norm = "none",
        question_to_head: bool = True,
    ) -> None:
        super().__init__()
        del image_dim, token_dim
        self.question_to_head = question_to_head
        self.out_dim = 2 * channels + question_dim * question_to_head
        self.project = nn.Conv2d(grid_channels + 2, channels, 1)
        self.blocks = nn.ModuleList(FiLMBlock(channels, norm) for _ in range(blocks))
        self.modulation = nn.Linear(question_dim, 2 * channels * blocks)
        with (
            torch.no_grad()
        ):  # a scale of 1 + gamma, as the paper's section 7.2 advises, written into the bias
            self.modulation.bias.view(blocks, 2, channels)[:, 0] += 1

    def forward(self, image: ImageFeatures, question: QuestionFeatures, image_index: Tensor) -> Tensor:
        """Fuse.

        Args:
            image: Features of `I` images.
            question: Features of `Q` questions.
            image_index: `(Q,)` int64 in [0, I).

        Returns:
            `(Q, out_dim)` float.
        """
        height, width = image.grid.shape[-2:]
        cells = F.relu(self.project(append_coordinates(image.grid)))  # (I, channels, h, w)
        modulation = self.modulation(question.pooled)[:, None].chunk(
            2 * len(self.blocks), dim=2
        )  # (Q, 1, channels)
        for i, block in enumerate(self.blocks):
            identity, branch = (_rows(part) for part in block(cells))  # (I or Q, h*w, channels)
            if i == 0:
                identity = torch.index_select(identity, 0, image_index)  # (Q, h*w, channels)
                branch = torch.index_select(branch, 0, image_index)
            scale, shift = modulation[2 * i : 2 * i + 2]
            cells = _grid(F.relu(branch * scale + shift) + identity, height, width)  # (Q, channels, h, w)
        # Not amax: its backward pass takes ten times longer on a CPU.
        maximum = F.adaptive_max_pool2d(cells, 1).flatten(1)  # (Q, channels)
        pooled = [maximum, _rows(cells).mean(dim=1)]
        if self.question_to_head:
            pooled.append(question.pooled.to(maximum.dtype))
        return torch.cat(pooled, dim=1)


class FiLMBlock(nn.Module):
    """The part of a FiLM block that precedes the modulation: 1x1 convolution, ReLU, 3x3 convolution, norm.

    Args:
        channels: Channels in and out.
        norm: `none` or `group`.
    """

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(channels, channels, 1)
        self.spatial = nn.Conv2d(channels, channels, 3, padding=1)
        groups = max(1, channels // GROUP_SIZE)
        self.norm = nn.GroupNorm(groups, channels, affine=False) if norm == "group" else nn.Identity()

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """`(N, channels, h, w)` -> the residual's identity and the branch to modulate, both of the same shape."""
        identity = F.relu(self.pointwise(cells))
        return identity, self.norm(self.spatial(identity))


def _rows(cells: Tensor) -> Tensor:
    """`(N, C, h, w)` -> `(N, h*w, C)`: a view of a channels_last grid, on which broadcasts over cells are fast."""
    return cells.permute(0, 2, 3, 1).flatten(1, 2)


def _grid(rows: Tensor, height: int, width: int) -> Tensor:
    """`(N, h*w, C)` -> `(N, C, h, w)` in channels_last order; the inverse of `_rows`."""
    return rows.unflatten(1, (height, width)).permute(0, 3, 1, 2)
