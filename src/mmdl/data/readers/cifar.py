"""The two published forms of CIFAR-10 and CIFAR-100 (cs.toronto.edu/~kriz/cifar.html): Python pickles, and binary."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mmdl.data.readers.plain_pickle import load_plain

SIDE = 32
"""Pixels of an image's side."""

_PIXELS = 3 * SIDE * SIDE

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
"""Images `(N, 3, 32, 32)` uint8 and labels `(N,)` int64."""


def pickled_batch(content: bytes, key: str) -> Batch:
    """Images and labels of a batch of the Python version.

    Args:
        content: The file: a pickled dict with `data`, `(N, 3072)` uint8 planes of red, green and blue, and lists of
            labels.
        key: Which labels, such as `labels`, `fine_labels`.

    Raises:
        ValueError: it is something else.
    """
    batch = load_plain(content)
    data, labels = batch.get("data"), batch.get(key)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != _PIXELS:
        raise ValueError(f"'data' is {_shape(data)}, expected rows of {_PIXELS} bytes")
    if not isinstance(labels, list) or not all(isinstance(label, int) for label in labels):
        raise ValueError(f"{key!r} is {_shape(labels)}, expected a list of numbers")
    if len(labels) != len(data):
        raise ValueError(f"{len(data):,} images and {len(labels):,} labels")
    return data.reshape(-1, 3, SIDE, SIDE), np.array(labels, dtype=np.int64)


def pickled_names(content: bytes, key: str) -> tuple[str, ...]:
    """Class names of the Python version.

    Args:
        content: The file `batches.meta` or `meta`.
        key: Which names, such as `label_names`, `fine_label_names`.

    Raises:
        ValueError: there are none.
    """
    names = load_plain(content).get(key)
    if not isinstance(names, list) or not all(isinstance(name, bytes | str) for name in names):
        raise ValueError(f"{key!r} is {_shape(names)}, expected a list of names")
    return tuple(name.decode("latin1") if isinstance(name, bytes) else name for name in names)


def binary_batch(content: bytes, label_bytes: int, column: int) -> Batch:
    """Images and labels of a batch of the binary version.

    Args:
        content: The file: rows of labels and 3,072 pixel bytes, red, green and blue planes.
        label_bytes: Labels of a row: 1, or 2 (coarse, fine) in CIFAR-100.
        column: Which of them.

    Raises:
        ValueError: the file is no whole number of rows.
    """
    width = label_bytes + _PIXELS
    if not content or len(content) % width:
        raise ValueError(f"{len(content):,} bytes are no whole number of rows of {width:,}")
    rows = np.frombuffer(bytearray(content), dtype=np.uint8).reshape(-1, width)
    images = np.ascontiguousarray(rows[:, label_bytes:]).reshape(-1, 3, SIDE, SIDE)
    return images, rows[:, column].astype(np.int64)


def text_names(content: bytes) -> tuple[str, ...]:
    """Class names of the binary version, one a line.

    Raises:
        ValueError: they are no text.
    """
    return tuple(line.strip() for line in content.decode("utf-8").splitlines() if line.strip())


def _shape(value: Any) -> str:
    if value is None:
        return "missing"
    return f"of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
