"""Feature-wise linear modulation of the image grid by the question."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdl.models.features import ImageFeatures, QuestionFeatures
from mmdl.models.layers.coordinates import append_coordinates

Norm = Literal["none", "batch"]


class FiLM(nn.Module):
    """Residual convolution blocks whose channels the question scales and shifts, then global pooling.

    Source: Perez et al. 2018, "FiLM: Visual Reasoning with a General Conditioning Layer" (arXiv:1709.07871).
    Different here: the residual adds the block's input, the kernel may be 1 (cells don't mix, which learns faster on
    few data), pooling is the maximum and the mean, and the first block's convolution runs once an image instead of
    once a question. Batch norm acts after the gather, on one grid a question, so that encoding an image once for all
    its questions gives what encoding it for each would.

    Args:
        grid_channels: Channels `C` of the image grid.
        image_dim: Unused; every fusion takes the four sizes.
        token_dim: Unused.
        question_dim: Size `E` of the pooled question feature.
        channels: Channels of the blocks.
        blocks: Number of blocks, at least 1.
        kernel_size: Side of the blocks' kernels, 1 or 3.
        norm: `none` or `batch`, before the modulation and without a scale of its own, as in the paper.
        pool_positions: Append the centroid of each channel's activation, which tells where what was asked for lies
            (spatial soft arg-max, Levine et al. 2016, arXiv:1504.00702).
        question_to_head: Append the question's feature to the output, so that the classifier knows the
            question too.

    Attributes:
        out_dim: `2 * channels`, twice that with `pool_positions`, plus `E` with `question_to_head`.
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
        kernel_size: int = 1,
        norm: Norm = "batch",
        pool_positions: bool = True,
        question_to_head: bool = True,
    ) -> None:
        super().__init__()
        del image_dim, token_dim
        self.question_to_head = question_to_head
        self.pool_positions = pool_positions
        self.out_dim = (4 if pool_positions else 2) * channels + question_dim * question_to_head
        self.project = nn.Conv2d(grid_channels + 2, channels, 1)
        self.blocks = nn.ModuleList(
            nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, bias=norm != "batch")
            for _ in range(blocks)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(channels, affine=False) if norm == "batch" else nn.Identity()
            for _ in range(blocks)
        )
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
        for i, (block, norm) in enumerate(zip(self.blocks, self.norms, strict=True)):
            branch = block(cells)
            if i == 0:
                cells, branch = _gather(cells, image_index), _gather(branch, image_index)
            scale, shift = modulation[2 * i : 2 * i + 2]
            branch = _rows(norm(branch)) * scale + shift  # (Q, h*w, channels)
            cells = _grid(F.relu(_rows(cells) + branch), height, width)  # (Q, channels, h, w)
        # Not amax: its backward pass takes ten times longer on a CPU.
        maximum = F.adaptive_max_pool2d(cells, 1).flatten(1)  # (Q, channels)
        rows = _rows(cells)
        pooled = [maximum, rows.mean(dim=1)]
        if self.pool_positions:
            pooled.append(_positions(rows, height, width))
        if self.question_to_head:
            pooled.append(question.pooled.to(maximum.dtype))
        return torch.cat(pooled, dim=1)


def _gather(cells: Tensor, image_index: Tensor) -> Tensor:
    """`(I, C, h, w)` -> `(Q, C, h, w)` in channels_last order."""
    height, width = cells.shape[-2:]
    return _grid(torch.index_select(_rows(cells), 0, image_index), height, width)


def _positions(rows: Tensor, height: int, width: int) -> Tensor:
    """`(Q, h*w, C)` non-negative activations -> `(Q, 2C)`: mean x and y of each channel, in [-1, 1], 0 if it is off."""
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, device=rows.device, dtype=rows.dtype),
        torch.linspace(-1, 1, width, device=rows.device, dtype=rows.dtype),
        indexing="ij",
    )
    places = torch.stack([x.flatten(), y.flatten()])  # (2, h*w)
    total = rows.sum(dim=1, keepdim=True) + 1e-3  # (Q, 1, C)
    return (places @ rows / total).flatten(1)  # (2, h*w) @ (Q, h*w, C) -> (Q, 2, C)


def _rows(cells: Tensor) -> Tensor:
    """`(N, C, h, w)` -> `(N, h*w, C)`: a view of a channels_last grid, on which broadcasts over cells are fast."""
    return cells.permute(0, 2, 3, 1).flatten(1, 2)


def _grid(rows: Tensor, height: int, width: int) -> Tensor:
    """`(N, h*w, C)` -> `(N, C, h, w)` in channels_last order; the inverse of `_rows`."""
    return rows.unflatten(1, (height, width)).permute(0, 3, 1, 2)
