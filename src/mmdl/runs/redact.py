"""Secrets don't belong in a run folder: they are replaced before anything is written or logged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "<redacted>"
_SECRET_KEY = re.compile(
    r"(^|[_.\-])(api_?key|password|passwd|pwd|secret|token|credentials?|private_?key|access_?key|auth)$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"\b(hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_\-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16})\b"
)
_URL_LOGIN = re.compile(r"(\w+://)[^/\s:@]+:[^/\s@]+@")


def redact(value: Any, key: str = "") -> Any:
    """`value` without secrets: by the name of its key, or by its form.

    Args:
        value: Plain containers and scalars.
        key: The key that it stands under.

    >>> redact({"api_key": "abc", "tokenizer": "word", "url": "https://me:pw@host/x"})
    {'api_key': '<redacted>', 'tokenizer': 'word', 'url': 'https://<redacted>@host/x'}
    """
    if isinstance(value, Mapping):
        return {name: redact(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item, key) for item in value]
    if isinstance(value, str):
        if value and _SECRET_KEY.search(key):
            return REDACTED
        return _URL_LOGIN.sub(rf"\1{REDACTED}@", _SECRET_VALUE.sub(REDACTED, value))
    return value


def redact_argument(argument: str) -> str:
    """One `key=value` argument of a command line without secrets.

    >>> redact_argument("logger.wandb.api_key=abc"), redact_argument("data.root=/x")
    ('logger.wandb.api_key=<redacted>', 'data.root=/x')
    """
    key, sign, value = argument.partition("=")
    if not sign:
        return str(redact(argument))
    return f"{key}={redact(value, key.lstrip('+~'))}"
