"""Word embeddings and a GRU: a question tower that trains from scratch on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdl.models.features import LayerGroup, QuestionFeatures


class GRU(nn.Module):
    """Word embedding, then a GRU (Cho et al. 2014, arXiv:1406.1078), run in one or both directions.

    Padding changes nothing: a direction that starts at the end starts at each question's own last token.

    Args:
        vocab_size: Number of token ids `V`; id 0 is padding.
        embedding_dim: Size of a word's embedding.
        hidden_dim: Size of the GRU's state, per direction.
        bidirectional: Also read from right to left.
        dropout: Dropout on the embeddings, in [0, 1).
        memory_bias: Added to the update gate's bias at the start, so that the state keeps early words: with 0 it
            halves with each token, and a question's colour word is gone at its end (for LSTMs: Jozefowicz et al.
            2015).

    Attributes:
        token_dim: `hidden_dim` times the directions: the GRU's states.
        pooled_dim: The same: the last state of each direction.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int = 64,
        hidden_dim: int = 128,
        bidirectional: bool = False,
        dropout: float = 0.0,
        memory_bias: float = 1.5,
    ) -> None:
        super().__init__()
        self.token_dim = self.pooled_dim = hidden_dim * (2 if bidirectional else 1)
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.forwards = nn.GRU(embedding_dim, hidden_dim, batch_first=True)
        self.backwards = nn.GRU(embedding_dim, hidden_dim, batch_first=True) if bidirectional else None
        with torch.no_grad():
            for direction in (self.forwards, self.backwards):
                if direction is not None:  # gates stand in the order reset, update, new
                    direction.get_parameter("bias_ih_l0")[hidden_dim : 2 * hidden_dim] += memory_bias

    def forward(self, tokens: Tensor, mask: Tensor) -> QuestionFeatures:
        """Encode questions.

        Args:
            tokens: `(Q, L)` int64 ids, right-padded.
            mask: `(Q, L)` bool, True at real tokens.

        Returns:
            States `(Q, L, token_dim)`, zero at padding; the mask; last states `(Q, pooled_dim)`, zero for a
            question without tokens.
        """
        lengths = mask.sum(dim=1)  # (Q,)
        longest = _longest(lengths, tokens.shape[1])
        x = self.dropout(self.embedding(tokens[:, :longest]))  # (Q, L', embedding_dim)
        kept = mask[:, :longest, None]
        last = (lengths - 1).clamp(min=0)
        states = self.forwards(x)[0] * kept  # (Q, L', hidden_dim)
        pooled = states[torch.arange(len(last), device=last.device), last]
        if self.backwards is not None:
            mirror = (last[:, None] - torch.arange(longest, device=last.device)).remainder(longest)  # (Q, L')
            rows = torch.arange(len(last), device=last.device)[:, None]
            backward = self.backwards(x[rows, mirror])[0]
            pooled = torch.cat([pooled, backward[rows[:, 0], last] * (lengths > 0)[:, None]], dim=1)
            states = torch.cat([states, backward[rows, mirror] * kept], dim=2)
        states = F.pad(states, (0, 0, 0, tokens.shape[1] - longest))  # (Q, L, token_dim)
        return QuestionFeatures(tokens=states, mask=mask, pooled=pooled)

    def layer_groups(self) -> list[LayerGroup]:
        """The embedding, then the recurrent layer."""
        recurrent: list[nn.Module] = [
            self.forwards,
            *([self.backwards] if self.backwards is not None else []),
        ]
        return [LayerGroup("embedding", [self.embedding]), LayerGroup("gru", recurrent)]


def _longest(lengths: Tensor, width: int) -> int:
    """Length to run: that of the longest question; the full width where asking would stall an accelerator."""
    if lengths.device.type != "cpu" or torch.compiler.is_compiling() or len(lengths) == 0:
        return width
    return max(1, int(lengths.max()))
