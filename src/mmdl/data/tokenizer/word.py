"""A word-level tokenizer whose vocabulary is built from the training questions."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmdl.errors import UserError

PADDING, UNKNOWN = "<pad>", "<unk>"
_WORD = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


class WordTokenizer:
    """Lower-cased words and punctuation marks; id 0 is padding and id 1 any unknown word.

    Args:
        max_length: Tokens a text is padded or cut to.
        min_count: Words that occur fewer times in the training texts are unknown.

    >>> tokenizer = WordTokenizer(max_length=6)
    >>> tokenizer.fit(["Is it red?", "Is it blue?"])
    >>> ids, mask = tokenizer(["Is it green?"])
    >>> ids.tolist(), mask.sum().item()
    ([[4, 5, 1, 2, 0, 0]], 4)
    """

    def __init__(self, max_length: int = 24, min_count: int = 1) -> None:
        if max_length < 1 or min_count < 1:
            raise UserError(f"max_length={max_length}, min_count={min_count}", valid="integers of at least 1")
        self.max_length = max_length
        self.min_count = min_count
        self._set_words([])

    @property
    def vocab_size(self) -> int:
        """Number of ids, padding and unknown included."""
        return len(self._ids)

    def fit(self, texts: Iterable[str]) -> None:
        """Build the vocabulary, replacing any earlier one.

        Words stand in alphabetical order, so the order of the texts is moot.

        Args:
            texts: Training texts.
        """
        counts = Counter(word for text in texts for word in split_words(text))
        self._set_words(sorted(word for word, count in counts.items() if count >= self.min_count))

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokenize.

        Args:
            texts: `N` texts.

        Returns:
            Ids `(N, max_length)` int64, right-padded with 0, and the mask `(N, max_length)` bool, True at
            real tokens.
        """
        rows = [[self._ids.get(word, 1) for word in split_words(text)[: self.max_length]] for text in texts]
        padded = [row + [0] * (self.max_length - len(row)) for row in rows]
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
        ids = torch.tensor(padded, dtype=torch.long).view(len(rows), self.max_length)
        return ids, torch.arange(self.max_length) < lengths[:, None]

    def truncated(self, texts: Sequence[str]) -> Tensor:
        """`(N,)` bool: which texts have more tokens than `max_length`, so that their ends are cut off."""
        return torch.tensor([len(split_words(text)) > self.max_length for text in texts], dtype=torch.bool)

    def state_dict(self) -> dict[str, Any]:
        """The vocabulary and the settings, as plain values."""
        return {"max_length": self.max_length, "min_count": self.min_count, "words": list(self._ids)[2:]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.max_length, self.min_count = int(state["max_length"]), int(state["min_count"])
        self._set_words([str(word) for word in state["words"]])

    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides on the ids."""
        state = json.dumps(["word", self.max_length, list(self._ids)], ensure_ascii=True)
        return hashlib.sha256(state.encode()).hexdigest()

    def unknown_words(self, text: str) -> list[str]:
        """The words of a text that are not in the vocabulary, each once."""
        return [word for word in dict.fromkeys(split_words(text)) if word not in self._ids]

    def _set_words(self, words: Iterable[str]) -> None:
        self._ids = {word: i for i, word in enumerate((PADDING, UNKNOWN, *words))}


def split_words(text: str) -> list[str]:
    """Lower-cased words (with inner apostrophes) and single punctuation marks.

    >>> split_words("What's left of the RED cube?")
    ["what's", 'left', 'of', 'the', 'red', 'cube', '?']
    """
    return _WORD.findall(text.lower())
