"""The text side of a whole open_clip model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmdl.errors import UserError
from mmdl.models.features import LayerGroup
from mmdl.models.layers.open_clip_groups import text_groups
from mmdl.models.layers.text_length import looks_back, set_text_length


class OpenCLIPText(nn.Module):
    """Token ids to open_clip's `encode_text`, not normalised.

    On a CPU, texts are computed up to the longest of the batch where that changes nothing: attention that looks back
    only, and the last token pooled. Captions of 12 words then take a quarter of 77 places.

    Args:
        text: `model.text` of an open_clip model.
        name: The model's name, for errors.
        length: Tokens of a text; None for the model's own.

    Attributes:
        length: Tokens that texts must have; a Hugging Face tower takes fewer too.

    Raises:
        UserError: See `set_text_length`.
    """

    def __init__(self, text: nn.Module, name: str, length: int | None = None) -> None:
        super().__init__()
        self.text = text
        self.name = name
        self.is_hugging_face = hasattr(text, "config")
        self.length = set_text_length(text, name, length, "context_length")
        self.only_looks_back = looks_back(text)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Encode texts.

        Args:
            tokens: `(T, L)` int64 ids of the model's tokenizer, right-padded.
            mask: `(T, L)` bool, True at real tokens.

        Returns:
            `(T, D)` float.

        Raises:
            UserError: `L` is another length than the tower's.
        """
        length = tokens.shape[1]
        if length > self.length or (length < self.length and not self.is_hugging_face):
            raise UserError(
                f"texts have {length} tokens, and '{self.name}' computes {self.length}",
                fix="model.context_length=${data.tokenizer.max_length}, which says whether the model can do that, "
                f"or data.tokenizer.max_length={self.length}",
            )
        text: Any = self.text
        if self.is_hugging_face:  # with the mask of the tokenizer, not by comparing ids with the padding's
            out = text.transformer(input_ids=tokens, attention_mask=mask.long())
            return text.proj(text.pooler(out, mask.long()))
        longest = self._longest(mask)
        if longest < length:  # later places are padding, which nothing before them looks at
            causal = text.attn_mask
            text.attn_mask = causal[:longest, :longest]
            try:
                out = text(tokens[:, :longest])
            finally:
                text.attn_mask = causal
        else:
            out = text(tokens)
        features: Tensor = out[0] if isinstance(out, tuple) else out  # CoCa gives its tokens too
        return features

    def _longest(self, mask: Tensor) -> int:
        """Tokens to compute: those of the longest text; all where asking would stall an accelerator."""
        if not self.only_looks_back or mask.device.type != "cpu" or torch.compiler.is_compiling():
            return mask.shape[1]
        return max(1, int(mask.sum(1).max())) if len(mask) else mask.shape[1]

    def layer_groups(self) -> list[LayerGroup]:
        """`stem` (embeddings), the blocks, and `neck` (final norm and projection)."""
        return text_groups(self.text)
