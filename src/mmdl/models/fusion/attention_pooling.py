"""Question-guided attention over the image grid, in hops, with pooling that can select, detect and count."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdl.models.features import ImageFeatures, QuestionFeatures
from mmdl.models.layers.coordinates import append_coordinates


class AttentionPooling(nn.Module):
    """The question asks the grid in several hops; each hop's heads pool the cells in three ways.

    Everything that does not depend on the question runs once an image, so that a question costs little more than a
    few inner products a cell. In the spirit of stacked attention networks (Yang et al. 2016, arXiv:1511.02274), with
    sums of gates beside the softmax average: a softmax can't count (Zhang et al. 2018, arXiv:1802.05766).

    Args:
        grid_channels: Channels `C` of the image grid.
        image_dim: Unused; every fusion takes the four sizes.
        token_dim: Unused.
        question_dim: Size `E` of the pooled question feature.
        channels: Size of keys and values over all heads.
        heads: Attention heads in a hop.
        hops: How often the question asks; each hop knows what the ones before found.

    Attributes:
        out_dim: Size of the fused feature.
    """

    uses_grid = True
    uses_tokens = False

    def __init__(
        self,
        grid_channels: int,
        image_dim: int,
        token_dim: int,
        question_dim: int,
        channels: int = 128,
        heads: int = 8,
        hops: int = 2,
    ) -> None:
        super().__init__()
        del image_dim, token_dim
        self.heads = heads
        self.hops = hops
        self.cells = nn.Conv2d(grid_channels + 2, channels, 1)
        self.keys = nn.Linear(channels, channels * hops)
        self.values = nn.Linear(channels, channels * hops)
        found = channels + 2 * heads
        self.queries = nn.ModuleList(
            nn.Linear(question_dim + hop * found, channels) for hop in range(hops)
        )
        self.gates = nn.ModuleList(nn.Linear(question_dim, channels) for _ in range(hops))
        self.out_dim = question_dim + hops * found

    def forward(self, image: ImageFeatures, question: QuestionFeatures, image_index: Tensor) -> Tensor:
        """Fuse.

        Args:
            image: Features of `I` images.
            question: Features of `Q` questions.
            image_index: `(Q,)` int64 in [0, I).

        Returns:
            `(Q, out_dim)` float.
        """
        grid = F.relu(self.cells(append_coordinates(image.grid)))
        cells = grid.flatten(2).transpose(1, 2)  # (I, h*w, channels)
        keys = self.keys(cells).chunk(self.hops, dim=-1)
        values = self.values(cells).chunk(self.hops, dim=-1)
        pooled = question.pooled.to(cells.dtype)
        state = pooled
        for hop in range(self.hops):
            query = self.queries[hop](state).unflatten(-1, (self.heads, -1))  # (Q, H, d)
            key = torch.index_select(keys[hop], 0, image_index).unflatten(-1, (self.heads, -1))  # (Q, hw, H, d)
            value = torch.index_select(values[hop], 0, image_index).unflatten(-1, (self.heads, -1))
            scores = torch.einsum("qhd,qchd->qhc", query, key).float()  # (Q, H, hw)
            attended = torch.einsum("qhc,qchd->qhd", scores.softmax(-1).to(value.dtype), value).flatten(1)
            gate = torch.sigmoid(self.gates[hop](pooled))
            found = [gate * attended, scores.amax(-1), torch.sigmoid(scores - 2).sum(-1)]
            state = torch.cat([state, *(part.to(state.dtype) for part in found)], dim=-1)
        return state
