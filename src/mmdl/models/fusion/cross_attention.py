"""A transformer whose question tokens attend to the image grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdl.models.features import ImageFeatures, QuestionFeatures
from mmdl.models.layers.coordinates import append_coordinates


class CrossAttention(nn.Module):
    """Question tokens attend to each other, then to the cells of the image grid; their mean goes out.

    The guided-attention half of MCAN (Yu et al. 2019, arXiv:1906.10770), with pre-norm. Keys and values of
    the grid are projected once an image.

    Args:
        grid_channels: Channels `C` of the image grid.
        image_dim: Unused; every fusion takes the four sizes.
        token_dim: Size `D` of a question token's feature.
        question_dim: Size `E` of the pooled question feature, which is prepended as one more token.
        hidden_dim: Width of the transformer, a multiple of `heads`.
        heads: Attention heads.
        layers: Number of layers.
        dropout: Dropout after attention and feed-forward, in [0, 1).

    Attributes:
        out_dim: `hidden_dim`.
    """

    uses_grid = True
    uses_tokens = True

    def __init__(
        self,
        grid_channels: int,
        image_dim: int,
        token_dim: int,
        question_dim: int,
        hidden_dim: int = 256,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        del image_dim
        self.out_dim = hidden_dim
        self.cells = nn.Linear(grid_channels + 2, hidden_dim)
        self.cell_norm = nn.LayerNorm(hidden_dim)
        self.tokens = nn.Linear(token_dim, hidden_dim)
        self.question = nn.Linear(question_dim, hidden_dim)
        self.layers = nn.ModuleList(CrossAttentionLayer(hidden_dim, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden_dim)

    def forward(self, image: ImageFeatures, question: QuestionFeatures, image_index: Tensor) -> Tensor:
        """Fuse.

        Args:
            image: Features of `I` images.
            question: Features of `Q` questions; padding is neither attended to nor averaged.
            image_index: `(Q,)` int64 in [0, I).

        Returns:
            `(Q, hidden_dim)` float.
        """
        cells = append_coordinates(image.grid).flatten(2).transpose(1, 2)  # (I, h*w, C+2)
        cells = self.cell_norm(self.cells(cells))  # (I, h*w, hidden_dim)
        x = torch.cat([self.question(question.pooled)[:, None], self.tokens(question.tokens)], dim=1)
        mask = F.pad(question.mask, (1, 0), value=True)  # (Q, 1+L); the pooled question always counts
        for layer in self.layers:
            x = layer(x, mask, cells, image_index)
        weight = mask[:, :, None].to(x.dtype)
        return (self.norm(x) * weight).sum(dim=1) / weight.sum(dim=1)


class CrossAttentionLayer(nn.Module):
    """Pre-norm self-attention, cross-attention to an image's cells, and feed-forward, each with a residual.

    Args:
        hidden_dim: Width, a multiple of `heads`.
        heads: Attention heads.
        dropout: Dropout on each branch, in [0, 1).
    """

    def __init__(self, hidden_dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        assert hidden_dim % heads == 0, (hidden_dim, heads)
        self.heads = heads
        self.self_norm = nn.LayerNorm(hidden_dim)
        self.query_key_value = nn.Linear(hidden_dim, 3 * hidden_dim)
        self.self_out = nn.Linear(hidden_dim, hidden_dim)
        self.cross_norm = nn.LayerNorm(hidden_dim)
        self.query = nn.Linear(hidden_dim, hidden_dim)
        self.key_value = nn.Linear(hidden_dim, 2 * hidden_dim)
        self.cross_out = nn.Linear(hidden_dim, hidden_dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(hidden_dim),
            nn.Linear(hidden_dim, 4 * hidden_dim),
            nn.GELU(),
            nn.Linear(4 * hidden_dim, hidden_dim),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, cells: Tensor, image_index: Tensor) -> Tensor:
        """One layer.

        Args:
            x: `(Q, T, hidden_dim)` tokens.
            mask: `(Q, T)` bool, True at real tokens.
            cells: `(I, N, hidden_dim)` cells of each image.
            image_index: `(Q,)` int64 in [0, I).

        Returns:
            `(Q, T, hidden_dim)`.
        """
        query, key, value = self.query_key_value(self.self_norm(x)).chunk(3, dim=-1)
        x = x + self.dropout(self.self_out(self._attend(query, key, value, mask[:, None, None, :])))
        key, value = torch.index_select(self.key_value(cells), 0, image_index).chunk(2, dim=-1)  # (Q, N, ...)
        query = self.query(self.cross_norm(x))
        x = x + self.dropout(self.cross_out(self._attend(query, key, value, None)))
        return x + self.dropout(self.feed_forward(x))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (query, key, value))
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask
        )  # (Q, heads, T, hidden_dim / heads)
        return attended.transpose(1, 2).flatten(2)
