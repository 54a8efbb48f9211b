"""Where data and caches live: `$MMDL_DATA`, else the platform's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def data_home() -> Path:
    """The folder that holds generated data, downloads and caches.

    >>> from unittest.mock import patch
    >>> with patch.dict(os.environ, MMDL_DATA="/tmp/somewhere"):
    ...     data_home().as_posix()
    '/tmp/somewhere'
    """
    given = os.environ.get("MMDL_DATA")
    return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("mmdl", appauthor=False))


def data_root(root: str | Path | None, *default: str) -> Path:
    """`root` where given, else a folder below `data_home()`.

    Args:
        root: A folder that the user named; `~` is expanded.
        default: Path parts below `data_home()`.
    """
    return Path(root).expanduser() if root else data_home().joinpath(*default)
