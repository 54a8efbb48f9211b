"""Small drawn images for fixtures: a square whose colour and place tell its class, in noise."""

from __future__ import annotations

import colorsys

import numpy as np
import numpy.typing as npt


def coloured_squares(
    count: int, classes: int, size: int = 32, seed: int = 0
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images that a small network learns at once.

    Args:
        count: How many; the classes take turns.
        classes: How many classes.
        size: Pixels of a side.
        seed: Of the noise.

    Returns:
        `(count, 3, size, size)` uint8 and `(count,)` int64 labels.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    labels = np.arange(count, dtype=np.int64) % classes
    images = rng.integers(0, 64, (count, 3, size, size), dtype=np.uint8)
    for row, label in enumerate(labels.tolist()):
        colour = np.array(colorsys.hsv_to_rgb(label / classes, 1.0, 1.0)) * 191
        top, left = rng.integers(0, size // 2, 2)
        images[row, :, top : top + size // 2, left : left + size // 2] += colour.astype(np.uint8)[
            :, None, None
        ]
    return images, labels
