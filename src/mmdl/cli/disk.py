"""The error of a full disk."""

from __future__ import annotations

import errno

from mmdl.errors import UserError

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def disk_full(error: OSError) -> UserError | None:
    """The user's error where a write failed for want of space; None for any other failure.

    Args:
        error: What the write raised.

    >>> print(disk_full(OSError(28, "No space left on device", "/data/last.ckpt")))
    no space left on the device (or over quota): /data/last.ckpt
      try:   free some space and resume, or choose another folder: run.root=DIR
    """
    if error.errno not in _FULL:
        return None
    where = f": {error.filename}" if error.filename else ""
    return UserError(
        f"no space left on the device (or over quota){where}",
        fix="free some space and resume, or choose another folder: run.root=DIR",
    )
