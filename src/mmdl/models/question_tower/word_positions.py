"""Word embeddings, each at its position, through an MLP: the quickest question tower to learn short questions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mmdl.models.features import LayerGroup, QuestionFeatures


class WordPositions(nn.Module):
    """The embeddings of the first `max_length` words, concatenated in order, through two linear layers.

    A word's influence does not depend on how many words follow it, as it does in a recurrent tower, so that short
    questions of a fixed pattern are told apart within the first hundreds of steps. Long or free questions are better
    served by a recurrent tower or a transformer.

    Args:
        vocab_size: Number of token ids `V`; id 0 is padding.
        embedding_dim: Size of a word's embedding.
        hidden_dim: Width of the first layer.
        out_dim: Size of the pooled feature.
        max_length: Words that are read; later ones are not seen.

    Attributes:
        token_dim: `embedding_dim`: the words' embeddings.
        pooled_dim: `out_dim`.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int = 32,
        hidden_dim: int = 256,
        out_dim: int = 128,
        max_length: int = 16,
    ) -> None:
        super().__init__()
        self.token_dim, self.pooled_dim, self.max_length = embedding_dim, out_dim, max_length
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)
        self.mlp = nn.Sequential(
            nn.Linear(max_length * embedding_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, out_dim)
        )

    def forward(self, tokens: Tensor, mask: Tensor) -> QuestionFeatures:
        """Encode questions.

        Args:
            tokens: `(Q, L)` int64 ids, right-padded.
            mask: `(Q, L)` bool, True at real tokens.

        Returns:
            Embeddings `(Q, L, token_dim)`, zero at padding; the mask; pooled `(Q, pooled_dim)`.
        """
        words = self.embedding(tokens) * mask.unsqueeze(-1)  # (Q, L, embedding_dim)
        read = words[:, : self.max_length]
        read = F.pad(read, (0, 0, 0, self.max_length - read.shape[1]))  # (Q, max_length, embedding_dim)
        return QuestionFeatures(tokens=words, mask=mask, pooled=self.mlp(read.flatten(1)))

    def layer_groups(self) -> list[LayerGroup]:
        """The embedding, then the MLP."""
        return [LayerGroup("embedding", [self.embedding]), LayerGroup("mlp", [self.mlp])]
