"""The kernels of a convolution."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmdl.inspection.drawing.picture import Picture
from mmdl.inspection.drawing.tiles import coloured, tiles

Array = npt.NDArray[Any]

MOST_FILTERS = 64
"""Filters of a first layer that are drawn."""

MOST_ROWS, MOST_COLUMNS = 12, 24
"""Filters and input maps of a later layer that are drawn."""


class DrawnFilters(NamedTuple):
    """A drawing of filters.

    Attributes:
        picture: The drawing.
        shown: What of them it shows, and how, in words.
    """

    picture: Picture
    shown: str


def filters_picture(weight: Array) -> DrawnFilters:
    """Draw the kernels: of a first layer one tile a filter (in colour for three input channels), else a table.

    Args:
        weight: `(O, I, h, w)`; of a grouped convolution `I` is the channels of one group.
    """
    reach = float(np.quantile(np.abs(weight), 0.995)) or float(np.abs(weight).max()) or 1.0
    scale = ("RdBu_r", -reach, reach)
    outputs, inputs = weight.shape[:2]
    if inputs in (1, 3):
        count = min(outputs, MOST_FILTERS)
        part = weight[:count]
        labels = [str(number) for number in range(count)]
        if inputs == 1:
            picture = tiles(coloured(part[:, 0], scale), labels, side=52, scale=scale)
            meaning = "red adds, blue takes away, white is 0"
        else:
            shares = np.clip(0.5 + part.transpose(0, 2, 3, 1) / (2 * reach), 0, 1)
            picture = tiles((shares * 255).round().astype(np.uint8), labels, side=52)
            meaning = f"colours are the weights of red, green and blue, grey is 0, the range is ±{reach:.2g}"
        return DrawnFilters(picture, f"{count} of {outputs} filters, {meaning}")
    rows, columns = min(outputs, MOST_ROWS), min(inputs, MOST_COLUMNS)
    part = weight[:rows, :columns].reshape(rows * columns, *weight.shape[2:])
    picture = tiles(coloured(part, scale), [""] * len(part), side=30, columns=columns, scale=scale)
    shown = (
        f"{rows} of {outputs} filters, a row each; in it the kernels for {columns} of {inputs} maps below, "
        "red adds, blue takes away"
    )
    return DrawnFilters(picture, shown)
