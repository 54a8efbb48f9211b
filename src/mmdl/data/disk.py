"""Free space, asked for before something large is written."""

from __future__ import annotations

import shutil
from pathlib import Path

from mmdl.errors import UserError

_RESERVE = 64 << 20  # bytes that stay free


def require_free(folder: Path, need: int, what: str) -> None:
    """Refuse to start what the disk can't hold.

    Args:
        folder: Where it would be written; the nearest existing parent is asked.
        need: Bytes; 64 MiB are kept free besides.
        what: For the message.

    Raises:
        UserError: With what is needed and what is free.
    """
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if need > 0 and need + _RESERVE > free:
        raise UserError(
            f"not enough space for {what} in {folder}: "
            f"{need / 1e9:,.2f} GB needed, {free / 1e9:,.2f} GB free",
            fix="free some space, or choose a folder on a larger disk",
        )
