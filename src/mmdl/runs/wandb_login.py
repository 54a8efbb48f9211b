"""Whether W&B can be reached with an account, found out without asking anybody and without importing it."""

from __future__ import annotations

import netrc
import os
import socket
from urllib.parse import urlparse

OFFLINE_MODES = ("offline", "dryrun", "disabled")


def offline_reason(timeout: float = 2.0) -> str | None:
    """Why W&B can't be reached, or None where it can.

    Args:
        timeout: Seconds to wait for its server.
    """
    mode = os.environ.get("WANDB_MODE", "").lower()
    if mode in OFFLINE_MODES:
        return f"WANDB_MODE={mode}"
    base = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    host = base.hostname or "api.wandb.ai"
    if not os.environ.get("WANDB_API_KEY") and not _in_netrc(host):
        return "not logged in"
    try:
        socket.create_connection(
            (host, base.port or (443 if base.scheme == "https" else 80)), timeout
        ).close()
    except OSError:
        return f"{host} can't be reached"
    return None


def _in_netrc(host: str) -> bool:
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
