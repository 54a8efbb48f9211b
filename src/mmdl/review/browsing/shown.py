"""Text of runs as a person may see it: whole, or clipped with a word on what was clipped."""

from __future__ import annotations

import re

MOST = 1000
"""Characters of one text that a page holds."""

# C0 and C1 controls but tab and newline; zero-width characters and marks that turn the direction of what follows,
# but the joiner of emoji; what is half a character.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)


def shown(value: object, most: int = MOST) -> str:
    r"""Text without what can't be seen, or turns what stands beside it; at most so many characters, and a note.

    Args:
        value: A text of a run, or whatever stands in its place.
        most: Characters of it that are kept.

    >>> shown("cat\u202egpj\x00"), shown(None), shown("abcdef", 3)
    ('cat\\u202egpj\\u0000', '', 'abc … (6 characters)')
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    cut = text[:most]
    seen = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", cut)
    return seen if len(text) <= most else f"{seen} … ({len(text):,} characters)"
