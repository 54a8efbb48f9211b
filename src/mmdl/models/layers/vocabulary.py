"""Refusing a tokenizer that is not the text tower's."""

from __future__ import annotations

from mmdl.errors import UserError

PADDED_SHARE = 0.9
"""Embedding tables are padded to round sizes, never by more than a tenth."""


def fits_vocabulary(rows: int, vocab_size: int) -> bool:
    """Whether a tokenizer's number of ids goes with an embedding table of so many rows.

    >>> fits_vocabulary(49408, 49408), fits_vocabulary(49408, 59)
    (True, False)
    """
    return PADDED_SHARE * rows <= vocab_size <= rows


def check_vocabulary(model: str, rows: int, vocab_size: int | None) -> None:
    """Compare a tokenizer's number of ids with the rows of an embedding table.

    Args:
        model: How to name the model in the error.
        rows: Rows of its embedding table.
        vocab_size: The tokenizer's number of ids; None skips the check.

    Raises:
        UserError: The tokenizer has more ids than rows, or far fewer: its ids mean other words.

    >>> check_vocabulary("bert", rows=30522, vocab_size=30522)
    """
    if vocab_size is None or fits_vocabulary(rows, vocab_size):
        return
    raise UserError(
        f"the tokenizer has {vocab_size} ids, but {model} was built for {rows}: it is another model's tokenizer",
        fix="the model's own: tokenizer@data.tokenizer=open_clip (or transformers) data.tokenizer.name=MODEL",
    )
