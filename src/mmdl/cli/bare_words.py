"""Bare words of a verb that takes one: `mmdl search "a red circle"` means `query="a red circle"`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from mmdl.cli.paths import packaged_conf
from mmdl.errors import UserError

BARE_KEYS = {"search": "query"}
"""Verb -> key of the text that may stand without it."""

_OVERRIDE = re.compile(r"(?P<sign>\+{0,2}|~)(?P<key>[A-Za-z_][\w./@:-]*)(?P<equals>=?)")
_KEY = re.compile(r"^([a-z_]\w*):", re.MULTILINE)
_ALIKE = 0.6


def bare_words(verb: str, words: Sequence[str]) -> list[str]:
    """The words of a verb with its free text under its key, quoted so that Hydra reads it as it stands.

    A word is an override if it is one of a key of the verb's config, or so nearly that it must be a slip. All others
    are the text, which may hold commas, quotes, brackets, `=` and `?`.

    Args:
        verb: The verb.
        words: Those after it that are no flags.

    Raises:
        UserError: if there are several texts.

    >>> print(*bare_words("search", ["top_k=3", "2 + 2 = 4, or not?"]))
    top_k=3 query="2 + 2 = 4, or not?"
    """
    if verb not in BARE_KEYS:
        return list(words)
    key = BARE_KEYS[verb]
    keys = _KEY.findall((packaged_conf() / f"{verb}.yaml").read_text(encoding="utf-8"))
    texts = [word for word in words if not _is_override(word, keys)]
    if len(texts) > 1:
        raise UserError(
            f"{len(texts)} texts were given: " + ", ".join(map(repr, texts)),
            valid=f"one text in quotes; settings as KEY=VALUE: {', '.join(keys)}",
            fix=f'mmdl {verb} "{" ".join(texts)}"',
        )
    if texts and any(word.startswith(f"{key}=") for word in words):
        raise UserError(f"{texts[0]!r} and {key}= were given both", valid="one of them")
    return [f"{key}={literal(word)}" if word in texts else word for word in words]


def _is_override(word: str, keys: Sequence[str]) -> bool:
    found = _OVERRIDE.match(word)
    if found is None or not (found["equals"] or found["sign"]):
        return False
    rest = word[found.end() :]
    if found["sign"]:  # +key=value, ~key; a text may begin like this, and goes on with a space
        return bool(found["equals"]) or not rest
    first = found["key"].split(".")[0].split("@")[0]
    alike = difflib.get_close_matches(first, keys, n=1, cutoff=_ALIKE)
    return first in (*keys, "hydra") or bool(alike)


def literal(text: str) -> str:
    r"""A text as Hydra's grammar and OmegaConf give it back unchanged.

    In quotes only a quote, and the backslashes before it, are escaped; `${` would be an interpolation.

    >>> print(literal('say "a\\b"'))
    "say \"a\b\""
    """
    # backslashes count before a quote and before "${" only, and the closing quote is one
    escaped = re.sub(r'(\\*)("|\$\{|\Z)', lambda m: m[1] * 2 + ("\\" + m[2] if m[2] else ""), text)
    return f'"{escaped}"'
