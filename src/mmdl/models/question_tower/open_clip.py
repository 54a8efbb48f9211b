"""The text tower of any open_clip model."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdl.models.features import LayerGroup, QuestionFeatures
from mmdl.models.layers.open_clip_groups import text_groups
from mmdl.models.layers.open_clip_model import load_open_clip
from mmdl.models.layers.text_length import set_text_length
from mmdl.models.layers.vocabulary import check_vocabulary


class OpenCLIPQuestionTower(nn.Module):
    """`model.text` of an open_clip model; it goes with the tokenizer of the same name.

    Source: open_clip (github.com/mlfoundations/open_clip); Radford et al. 2021, arXiv:2103.00020.

    Args:
        name: Model name, as in `open_clip.list_models()`; `hf-hub:org/repository` or `local-dir:/folder`.
        pretrained: Pretrained tag, local file of weights, or None for random weights.
        max_length: Tokens to compute; None for the model's context length. Fewer are faster and change
            nothing where attention is causal and the last token is pooled (CLIP); elsewhere they are refused.
        vocab_size: The tokenizer's number of ids, to refuse a tokenizer that is not the model's; None to
            skip.

    Attributes:
        token_dim: Width of the last layer.
        pooled_dim: Size of the CLIP embedding (not normalised).

    Raises:
        UserError: See `load_open_clip`; another tokenizer; `max_length` that the model can't honour.
    """

    def __init__(
        self,
        name: str,
        pretrained: str | None = None,
        max_length: int | None = None,
        vocab_size: int | None = None,
    ) -> None:
        super().__init__()
        model: Any = load_open_clip(name, pretrained)
        text: Any = model.text
        self.text: nn.Module = text
        check_vocabulary(f"open_clip's '{name}'", int(text.vocab_size), vocab_size)
        self.is_hugging_face = hasattr(text, "config")
        self.max_length = set_text_length(text, name, max_length)
        text.output_tokens = True
        with torch.no_grad():
            blank = torch.zeros(1, self.max_length, dtype=torch.long)
            features = self.eval()(blank, torch.ones_like(blank, dtype=torch.bool))
        self.train()
        self.token_dim = features.tokens.shape[2]
        self.pooled_dim = features.pooled.shape[1]

    def forward(self, tokens: Tensor, mask: Tensor) -> QuestionFeatures:
        """Encode questions.

        Args:
            tokens: `(Q, L)` int64 ids of the model's tokenizer, right-padded, `L <= max_length`.
            mask: `(Q, L)` bool, True at real tokens.

        Returns:
            Last layer `(Q, L, token_dim)`, the mask, and pooled `(Q, pooled_dim)`: what open_clip's
            `encode_text` gives.
        """
        text: Any = self.text
        if self.is_hugging_face:  # open_clip's own forward drops the first token of some of these
            out = text.transformer(input_ids=tokens, attention_mask=mask.long())
            pooled = text.proj(text.pooler(out, mask.long()))
            return QuestionFeatures(tokens=out.last_hidden_state, mask=mask, pooled=pooled)
        length = tokens.shape[1]
        pad = int(getattr(text, "pad_id", 0))
        pooled, states = text(F.pad(tokens, (0, self.max_length - length), value=pad))
        return QuestionFeatures(tokens=states[:, :length], mask=mask, pooled=pooled)

    def layer_groups(self) -> list[LayerGroup]:
        """`stem` (embeddings), the blocks, and `neck` (final norm and projection)."""
        return text_groups(self.text)
