"""The tokenizer of any open_clip model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor

from mmdl.errors import UserError
from mmdl.models.layers.architecture import Architecture, find_architecture

PROBE = "What's on the RED cube, 3 of 10?  café 漢字 ..."
"""Text whose ids stand for the vocabulary in the fingerprint: case, digits, punctuation, accents, other scripts."""


class OpenCLIPTokenizer:
    """`open_clip.get_tokenizer(name)`, with a mask.

    Args:
        name: Model name, as in `open_clip.list_models()`; one of mmdl's small architectures, a JSON file,
            `hf-hub:org/repository` or `local-dir:/folder`.
        max_length: Tokens a text is padded or cut to; None for the model's context length. The tower
            `question_tower=open_clip` says which models allow fewer.

    Raises:
        UserError: Unknown name, broken JSON, or a vocabulary that has to come from a hub that can't be reached.
    """

    def __init__(self, name: str, max_length: int | None = None) -> None:
        found = None if name.startswith("hf-hub:") else find_architecture(name)
        try:
            self._tokenizer: Any = _tokenizer(name, found, max_length)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"can't load the tokenizer of open_clip's '{name}': {str(error).splitlines()[0]}",
                valid="a model with CLIP's own vocabulary, which ships with open_clip (ViT-B-32, RN50, ...), "
                "local-dir:/folder, or run once with network (the files stay in $HF_HOME)",
            ) from error
        self.name = name
        self.max_length = int(self._tokenizer.context_length)
        inner = getattr(self._tokenizer, "tokenizer", None)
        self._pad = 0 if inner is None else int(inner.pad_token_id)
        self.vocab_size = int(self._tokenizer.vocab_size) if inner is None else len(inner)

    def fit(self, texts: Iterable[str]) -> None:
        """Nothing: the vocabulary is the model's."""

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokenize.

        Args:
            texts: `N` texts.

        Returns:
            Ids `(N, max_length)` int64 as open_clip gives them, and the mask `(N, max_length)` bool, False in
            the padding behind the last token.
        """
        if not texts:
            empty = torch.zeros(0, self.max_length, dtype=torch.long)
            return empty, empty.bool()
        ids: Tensor = self._tokenizer(list(texts))
        # An id that equals the padding's inside a text (CLIP's "!" is 0) is real: padding is the tail only.
        is_real = (ids != self._pad).flip(1).cumsum(dim=1).flip(1) > 0
        return ids, is_real

    def truncated(self, texts: Sequence[str]) -> Tensor:
        """`(N,)` bool: which texts have more tokens than `max_length`, so that their ends are cut off.

        open_clip's tokenizers don't say so: a text is cut if it has other ids with two places more, which holds
        also where the end of text and the padding are one id (SigLIP).
        """
        ids, mask = self(texts)
        cut = torch.zeros(len(texts), dtype=torch.bool)
        rows = mask[:, -2:].any(dim=1).nonzero()[:, 0].tolist()  # only what fills its row can be longer
        if rows:
            longer = self._tokenizer([texts[row] for row in rows], context_length=self.max_length + 2)
            differs = (longer[:, : self.max_length] != ids[rows]).any(dim=1)
            cut[rows] = differs | (longer[:, self.max_length :] != self._pad).any(dim=1)
        return cut

    def state_dict(self) -> dict[str, Any]:
        """Name, length and fingerprint, as plain values."""
        return {"name": self.name, "max_length": self.max_length, "fingerprint": self.fingerprint()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Check that this is the tokenizer that `state` was saved from.

        Raises:
            UserError: It is another.
        """
        if state["fingerprint"] != self.fingerprint():
            given = f"tokenizer {self.name} (max_length {self.max_length})"
            raise UserError(
                f"{given} is not the one of the checkpoint", valid=f"{state['name']} ({state['max_length']})"
            )

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the length, the size of the vocabulary, and the ids of a probe text."""
        probe = self([PROBE])[0].tolist()
        state = json.dumps(["open_clip", self.max_length, self.vocab_size, probe])
        return hashlib.sha256(state.encode()).hexdigest()


def _tokenizer(name: str, found: Architecture | None, max_length: int | None) -> Any:
    """open_clip's tokenizer; that of a JSON file is made here as open_clip makes it for names that it knows."""
    if name.startswith("local-dir:"):
        name = f"local-dir:{Path(name.removeprefix('local-dir:')).expanduser()}"
        return open_clip.get_tokenizer(name, context_length=max_length)
    if found is None or found.is_builtin:
        return open_clip.get_tokenizer(name, context_length=max_length)
    text = found.config["text_cfg"]
    length = max_length or text.get("context_length", 77)
    kwargs = text.get("tokenizer_kwargs") or {}
    if text.get("hf_tokenizer_name"):
        mode = text.get("tokenizer_mode")
        return open_clip.tokenizer.HFTokenizer(
            text["hf_tokenizer_name"], context_length=length, tokenizer_mode=mode, **kwargs
        )
    return open_clip.SimpleTokenizer(context_length=length, **kwargs)
