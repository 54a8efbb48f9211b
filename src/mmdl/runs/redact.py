"""Secrets don't belong in a run folder: they are replaced before anything is written or logged."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

REDACTED = "<redacted>"
_NAMES = (
    r"(?:(?:api|private|access)[_\-]?key|password|passwd|passphrase|pwd|secret|token|jwt|credentials?|auth)"
)
_SECRET_KEY = re.compile(rf"(^|[_.\-]){_NAMES}$", re.IGNORECASE)
_SECRET_INSIDE = re.compile(
    rf"""((?:\b|_){_NAMES}["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,}}\]&]+)""", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"\b(hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_\-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|glpat-[A-Za-z0-9_\-]{20,}|wandb_v1_[A-Za-z0-9_\-]{20,}|A[KS]IA[0-9A-Z]{16}|eyJ[\w\-]+\.eyJ[\w\-]+\.[\w\-]+)\b"
)
_URL_LOGIN = re.compile(r"(\w+://)[^/\s:@]+:[^/\s@]*@|(https?://)[^/\s:@]+@")
_SHORTEST = 8
"""A shorter value of the environment may stand anywhere by chance."""


def secrets_of_environment() -> list[str]:
    """Values of environment variables whose name says that they are secret, such as `HF_TOKEN`; the longest first."""
    found = {
        value
        for name, value in os.environ.items()
        if name != "PWD" and _SECRET_KEY.search(name) and len(value) >= _SHORTEST
    }
    return sorted(found, key=len, reverse=True)


def redact(value: Any, key: str = "") -> Any:
    """`value` without secrets: by the name of its key, by its form, or because a secret variable has that value.

    Args:
        value: Plain containers and scalars.
        key: The key that it stands under.

    >>> redact({"api_key": "abc", "tokenizer": "word", "url": "https://me:pw@host/x"})
    {'api_key': '<redacted>', 'tokenizer': 'word', 'url': 'https://<redacted>@host/x'}
    """
    return _redact(value, key, secrets_of_environment())


def _redact(value: Any, key: str, secrets: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _redact(item, str(name), secrets) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(item, key, secrets) for item in value]
    if not isinstance(value, str):
        return value
    if value and _SECRET_KEY.search(key):
        return REDACTED
    for secret in secrets:
        value = value.replace(secret, REDACTED)
    value = _SECRET_VALUE.sub(REDACTED, value)
    return _URL_LOGIN.sub(lambda found: f"{found[1] or found[2]}{REDACTED}@", value)


def redact_argument(argument: str) -> str:
    """One `key=value` argument of a command line without secrets, those inside of a mapping included.

    >>> redact_argument("logger.wandb.api_key=abc"), redact_argument("data.root=/x")
    ('logger.wandb.api_key=<redacted>', 'data.root=/x')
    >>> redact_argument("+hub={token: abc, name: x}")
    '+hub={token: <redacted>, name: x}'
    """
    key, sign, value = argument.partition("=")
    if not sign:
        return str(redact(argument))
    found = str(redact(value, key.lstrip("+~").lstrip("-")))
    return f"{key}={_SECRET_INSIDE.sub(lambda match: match[1] + REDACTED, found)}"
