"""A choice of decoded images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mmdl.data.pixels import ChosenPixels


class Whole:
    """An image's pixels are its row."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, rows: Any) -> Any:
        return torch.from_numpy(rows)


def test_rows_of_rows() -> None:
    chosen = ChosenPixels(Whole(), np.array([8, 2, 5, 3]), "k")
    assert len(chosen) == 4
    assert chosen[np.array([3, 0])].tolist() == [3, 8]
    fewer = chosen.select(np.array([2, 1]))
    assert fewer[np.array([0, 1])].tolist() == [5, 2]
    assert len(fewer) == 2


def test_the_key_knows_pixels_and_rows() -> None:
    rows = np.array([1, 2])
    keys = [
        ChosenPixels(Whole(), rows, "k"),
        ChosenPixels(Whole(), rows[::-1], "k"),
        ChosenPixels(Whole(), rows, "l"),
    ]
    assert len({pixels.key for pixels in keys}) == 3
    assert keys[0].key == ChosenPixels(Whole(), rows.copy(), "k").key
