"""A library's error in one line of ours."""

from __future__ import annotations

LONGEST = 300
"""Characters; load_state_dict lists every key that is missing."""


def first_line(error: BaseException) -> str:
    r"""The first lines of an error's text, joined and cut.

    >>> first_line(RuntimeError("size mismatch:\n\n  a is (2,)"))
    'size mismatch: a is (2,)'
    """
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return (text if len(text) <= LONGEST else text[: LONGEST - 1] + "…") or type(error).__name__
