"""How many tokens the text tower of an open_clip model computes."""

from __future__ import annotations

from typing import Any

from mmdl.errors import UserError


def set_text_length(text: Any, name: str, length: int | None, key: str = "max_length") -> int:
    """Let `text` run on `length` tokens; returns how many it runs on.

    Fewer than the model's own are faster and change nothing where attention is causal and the last token is pooled
    (CLIP); elsewhere they are refused.

    Args:
        text: `model.text` of an open_clip model.
        name: The model's name, for the error.
        length: Tokens; None for the model's own.
        key: The config key that gave it, for the error.

    Raises:
        UserError: Fewer tokens than the model needs, or more than it has positions for.
    """
    context = int(text.context_length)
    if length is None or length == context:
        return context
    if hasattr(text, "config") and length < context:  # Hugging Face: padding is masked
        return length
    if length > context or not looks_back(text):
        raise UserError(f"{key}={length}: '{name}' needs its {context} tokens", valid=f"null or {context}")
    text.register_buffer("attn_mask", text.attn_mask[:length, :length].clone(), persistent=False)
    return length


def looks_back(text: Any) -> bool:
    """Whether attention is causal and the last token is pooled, so that what follows it changes nothing.

    Args:
        text: `model.text` of an open_clip model.
    """
    is_causal = getattr(text, "attn_mask", None) is not None and getattr(text, "cls_emb", None) is None
    return is_causal and getattr(text, "pool_type", "") in ("argmax", "eos")
