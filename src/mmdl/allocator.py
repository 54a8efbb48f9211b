"""Keeps freed memory in the process: training on a CPU otherwise asks the system for the same pages in every step."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h of glibc
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to give nothing back and to take large blocks from its heap.

    A step of a small network allocates some hundred megabytes of activations. By default each is mapped anew, and
    the system zeroes its pages again in every step; `benchmarks/allocator.py` measures what that costs.

    Returns:
        Whether it was done: False where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))


def release_freed_memory() -> bool:
    """Give back what the process holds and does not use, so that its size is what it uses.

    Returns:
        Whether it was done: False where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return False
    trim(0)
    return True
