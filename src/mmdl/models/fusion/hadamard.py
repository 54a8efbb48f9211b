"""Elementwise (Hadamard) product of gated projections."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmdl.models.features import ImageFeatures, QuestionFeatures
from mmdl.models.layers.gated_tanh import GatedTanh


class Hadamard(nn.Module):
    """Elementwise product of the image's and the question's projection, each through a gated tanh.

    Source: the fusion of Bottom-Up and Top-Down attention (Anderson et al. 2018, arXiv:1707.07998, equation
    6; Teney et al. 2018, arXiv:1708.02711), over the pooled image feature instead of attended regions.

    Args:
        grid_channels: Unused; every fusion takes the four sizes.
        image_dim: Size `P` of the pooled image feature.
        token_dim: Unused.
        question_dim: Size `E` of the pooled question feature.
        hidden_dim: Size of the product.
        dropout: Dropout on the product, in [0, 1).

    Attributes:
        out_dim: `hidden_dim`.
    """

    uses_grid = False
    uses_tokens = False

    def __init__(
        self,
        grid_channels: int,
        image_dim: int,
        token_dim: int,
        question_dim: int,
        hidden_dim: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        del grid_channels, token_dim
        self.out_dim = hidden_dim
        self.from_image = GatedTanh(image_dim, hidden_dim)
        self.from_question = GatedTanh(question_dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, image: ImageFeatures, question: QuestionFeatures, image_index: Tensor) -> Tensor:
        """Fuse.

        Args:
            image: Features of `I` images.
            question: Features of `Q` questions.
            image_index: `(Q,)` int64 in [0, I).

        Returns:
            `(Q, hidden_dim)` float, in (-1, 1) before dropout.
        """
        from_image = torch.index_select(self.from_image(image.pooled), 0, image_index)  # (Q, hidden_dim)
        return self.dropout(from_image * self.from_question(question.pooled))
