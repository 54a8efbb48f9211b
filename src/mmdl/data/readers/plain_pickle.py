"""Reads pickles of plain values and byte arrays, such as CIFAR's, without running anything that they name.

A pickle is a program: it names functions, and unpickling calls them. Here the three names that a pickled numpy array
needs are answered by stand-ins that only keep what they are given, and every other name is refused. The array is then
made from the kept shape and bytes, after both were checked.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

_DAMAGED = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    ImportError,
)
_BYTE_TYPES = ("u1", "|u1", b"u1", b"|u1")


class _Kept:
    """Stands in for an object that a pickle builds: keeps the arguments and the state."""

    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _ArrayType(_Kept):
    """`numpy.ndarray`, which the pickle passes on as an argument."""


class _DType(_Kept):
    """`numpy.dtype(...)`."""


class _Array(_Kept):
    """`numpy.core.multiarray._reconstruct(...)`."""

    def array(self) -> npt.NDArray[np.uint8]:
        """The array.

        Raises:
            ValueError: it is none of unsigned bytes in C order.
        """
        match self.state:
            case (_, tuple() as shape, _DType(arguments=(kind, *_)), False | 0, bytes() as content):
                sizes = [n for n in shape if isinstance(n, int) and n >= 0]
                if kind in _BYTE_TYPES and len(sizes) == len(shape) and math.prod(sizes) == len(content):
                    return np.frombuffer(bytearray(content), dtype=np.uint8).reshape(sizes)
        raise ValueError("an array that is not one of unsigned bytes in C order")


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    """`_codecs.encode`, by which Python 3 writes bytes for Python 2: Latin-1 only."""
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"an encoding {encoding!r}")
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encoded,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        """A stand-in, or a refusal."""
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no data needs") from None


def load_plain(content: bytes) -> dict[str, Any]:
    """A pickled dict of texts, numbers, lists and byte arrays.

    Args:
        content: The pickle, of any protocol, also as Python 2 wrote it.

    Returns:
        The dict, its keys as `str`; arrays are uint8, texts of Python 2 are `bytes`.

    Raises:
        ValueError: it is damaged, or holds anything else; nothing that it names was run.

    >>> load_plain(pickle.dumps({b"labels": [1, 2]}, protocol=2))
    {'labels': [1, 2]}
    >>> load_plain(pickle.dumps(print))
    Traceback (most recent call last):
    ValueError: it names builtins.print, which no data needs
    """
    try:
        loaded = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except _DAMAGED as error:
        raise ValueError(str(error) or type(error).__name__) from None
    if not isinstance(loaded, dict):
        raise ValueError(f"it holds a {type(loaded).__name__}, not a dict")
    return {
        _text(key): value.array() if isinstance(value, _Array) else value for key, value in loaded.items()
    }


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
