"""Whether the process that a run's status names still runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any


def is_alive(status: Mapping[str, Any]) -> bool:
    """Whether the process of a `status.json` runs; one of another machine is taken at its word."""
    host = status.get("host")
    if host is not None and host != socket.gethostname():
        return True
    pid = status.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
