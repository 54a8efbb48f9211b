"""Concatenation and an MLP: the plainest fusion."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmdl.models.features import ImageFeatures, QuestionFeatures


class ConcatMLP(nn.Module):
    """Pooled image and question features, concatenated, through an MLP.

    The first layer is split into its image and its question half, so the image half runs once an image.

    Args:
        grid_channels: Unused; every fusion takes the four sizes.
        image_dim: Size `P` of the pooled image feature.
        token_dim: Unused.
        question_dim: Size `E` of the pooled question feature.
        hidden_dim: Width of the layers and of the output.
        layers: Number of layers, at least 1.
        dropout: Dropout after each layer, in [0, 1).

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
        layers: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        del grid_channels, token_dim
        self.out_dim = hidden_dim
        self.from_image = nn.Linear(image_dim, hidden_dim)
        self.from_question = nn.Linear(question_dim, hidden_dim, bias=False)
        rest: list[nn.Module] = [nn.ReLU(), nn.Dropout(dropout)]
        for _ in range(layers - 1):
            rest += [nn.Linear(hidden_dim, hidden_dim), nn.ReLU(), nn.Dropout(dropout)]
        self.rest = nn.Sequential(*rest)

    def forward(self, image: ImageFeatures, question: QuestionFeatures, image_index: Tensor) -> Tensor:
        """Fuse.

        Args:
            image: Features of `I` images.
            question: Features of `Q` questions.
            image_index: `(Q,)` int64 in [0, I).

        Returns:
            `(Q, hidden_dim)` float.
        """
        from_image = torch.index_select(self.from_image(image.pooled), 0, image_index)  # (Q, hidden_dim)
        return self.rest(from_image + self.from_question(question.pooled))
