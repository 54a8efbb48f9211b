"""Keeps freed memory in the process: training on a CPU otherwise asks the system for the same pages in every step."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h of glibc
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to give nothing back and to take large blocks from its heap.

    A step of a small network allocates some hundred megabytes of activations. By default each is mapped anew, and
    the system zeroes its pages again in every step; `benchmarks/allocator.py` measures what that costs.

    Returns:
        Whether it was done: False where the C library is another one.
    """
    mallopt = _of_glibc("mallopt")
    return mallopt is not None and bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))


def release_freed_memory() -> bool:
    """Give back what the process holds and does not use, so that its size is what it uses.

    Returns:
        Whether it was done: False where the C library is another one.
    """
    trim = _of_glibc("malloc_trim")
    if trim is None:
        return False
    trim(0)
    return True


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of glibc; None where the C library is another one."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    return found
