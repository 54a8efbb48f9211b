"""Any tokenizer of the transformers library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from mmdl.errors import UserError

PROBE = "What's on the RED cube, 3 of 10?  café 漢字 ..."
"""Text whose ids stand for merges and normalisation in the fingerprint."""


class TransformersTokenizer:
    """A tokenizer by `AutoTokenizer`, padding on the right.

    Args:
        name: Repository on the Hugging Face hub, or a local folder.
        max_length: Tokens a text is padded or cut to, special tokens included.

    Raises:
        UserError: Neither a folder nor reachable on the hub; a tokenizer without a padding token.
    """

    def __init__(self, name: str, max_length: int = 32) -> None:
        folder = Path(name).expanduser()
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                str(folder) if folder.is_dir() else name, padding_side="right", truncation_side="right"
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"can't load the tokenizer '{name}': {(str(error).splitlines() or [''])[0]}",
                valid="a repository on the Hugging Face hub, or a local folder with tokenizer.json",
                fix="without network: data.tokenizer.name=/path/to/folder, or run once with network "
                "(the files stay in $HF_HOME)",
            ) from error
        if tokenizer.pad_token_id is None:  # GPT-2 and its kin; the mask tells padding from the end of text
            tokenizer.pad_token = tokenizer.eos_token
        if tokenizer.pad_token_id is None:
            raise UserError(f"the tokenizer '{name}' has neither a padding nor an end token")
        self._tokenizer: Any = tokenizer
        self.name = name
        self.max_length = max_length
        self.vocab_size = len(tokenizer)

    def fit(self, texts: Iterable[str]) -> None:
        """Nothing: the vocabulary is the model's."""

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokenize.

        Args:
            texts: `N` texts.

        Returns:
            Ids `(N, max_length)` int64, right-padded, and the mask `(N, max_length)` bool, True at real
            tokens.
        """
        if not texts:
            empty = torch.zeros(0, self.max_length, dtype=torch.long)
            return empty, empty.bool()
        encoded = self._tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self.max_length,
            return_attention_mask=True,
            return_tensors="pt",
        )
        return encoded["input_ids"], encoded["attention_mask"].bool()

    def truncated(self, texts: Sequence[str]) -> Tensor:
        """`(N,)` bool: which texts have more tokens than `max_length`, so that their ends are cut off."""
        if not texts:
            return torch.zeros(0, dtype=torch.bool)
        # without `verbose` it would warn of each text that is longer than the model takes, which is what is counted
        ids = self._tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return torch.tensor([len(row) > self.max_length for row in ids], dtype=torch.bool)

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
        """SHA-256 (hex) of the vocabulary, the length, and the ids of a probe text; not of the folder's path."""
        vocabulary = sorted(self._tokenizer.get_vocab().items())
        state = json.dumps(["transformers", self.max_length, vocabulary, self([PROBE])[0].tolist()])
        return hashlib.sha256(state.encode()).hexdigest()
