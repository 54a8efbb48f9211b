"""A section of the page of a review: each file of `sections/` makes one, and the page puts them one after the other."""

from __future__ import annotations

import html
import json
from typing import Any, NamedTuple


class Section(NamedTuple):
    """One part of the page.

    Attributes:
        anchor: Its id in the page, and that of its data: `curves`.
        title: Its heading and its entry in the contents.
        html: What stands under the heading; whoever makes it escapes all text of runs with `text`.
        data: For its script: JSON, in `<script type="application/json" id="data-ANCHOR">`; None: nothing.
        scripts: Names of files of `assets/` that it needs, in order; the page holds each once.
    """

    anchor: str
    title: str
    html: str
    data: Any = None
    scripts: tuple[str, ...] = ()


def text(value: object) -> str:
    """Text of a run as HTML shows it.

    >>> text("<script>")
    '&lt;script&gt;'
    """
    return html.escape(str(value))


def embedded(data: Any) -> str:
    r"""JSON that may stand inside a `script` element: no text of a run can end it. NaN becomes null.

    >>> embedded({"question": "</script>", "loss": float("nan")})
    '{"question":"\\u003c/script\\u003e","loss":null}'
    """
    found = json.dumps(_finite(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # U+2028 and U+2029 end a line of JavaScript, though not of JSON
    for character in "<>&\u2028\u2029":
        found = found.replace(character, f"\\u{ord(character):04x}")
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
