"""Where processes find each other's sockets: a folder whose path is short enough for one."""

from __future__ import annotations

import os
import tempfile
from multiprocessing.util import get_temp_dir

MOST = 107 - len("/pymp-12345678/listener-12345678")
"""Bytes of a folder for temporary files in which a socket of `multiprocessing` can be made: the system takes 107."""

_SHORT = ("/tmp", "/var/tmp", "/dev/shm")


def short_socket_folder() -> None:
    """Keep the sockets of this process and its children out of a `$TMPDIR` whose path is too long for them.

    Loader processes send their batches through sockets in it. Schedulers make long ones, and Python before 3.14 does
    not look (https://github.com/python/cpython/issues/132124): no batch would ever arrive.
    """
    if len(os.fsencode(tempfile.gettempdir())) <= MOST:
        return
    short = next((folder for folder in _SHORT if os.access(folder, os.W_OK | os.X_OK)), None)
    if short is None:
        return
    before = tempfile.tempdir
    tempfile.tempdir = short
    try:
        get_temp_dir()  # remembered; children inherit it, and it is removed when this process ends
    finally:
        tempfile.tempdir = before
