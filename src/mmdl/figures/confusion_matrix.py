"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdl.figures.style import DARK, new_figure, plain, style

LABELLED = 20
"""Up to so many classes are named, and their counts printed."""


def draw_confusion_matrix(confusion: NDArray[np.int64], classes: Sequence[str], title: str = "") -> Any:
    """Rows are the true classes; the colour is the share of a row, the number the count.

    The colour grows with the square root of the share, so that 1% of a class can be seen. Cells without a sample are
    blank.

    Args:
        confusion: `(K, K)` counts, the label is the row.
        classes: Names of the `K` classes.
        title: Above the matrix.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.colors import PowerNorm

    count = len(classes)
    named = count <= LABELLED
    size = max(4.2, 0.42 * count) if named else 6.5
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    with style():
        longest = min(24, max(map(len, classes))) if named else 0
        figure = new_figure(size + 1.3 + 0.06 * longest, size + 0.4 + 0.03 * longest)
        axes = figure.add_subplot()
        # Where a cell is smaller than a pixel, "nearest" would drop most of them.
        smooth = "nearest" if named else "auto"
        image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation=smooth)
        bar = figure.colorbar(image, ax=axes, shrink=0.75, pad=0.02, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
        bar.ax.set_yticklabels(["0", "1%", "5%", "20%", "50%", "100%"])
        bar.set_label("share of the true class")
        bar.outline.set_visible(False)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        if title:
            axes.set_title(title)
        axes.tick_params(length=0)
        if named:
            # about 0.07 inches a letter
            upright = 0.07 * longest < 0.9 * size / count
            _name_cells(axes, confusion, shares, classes, upright)
        else:
            axes.spines[:].set_color("#e4e7eb")
    return figure


def _name_cells(
    axes: Any,
    confusion: NDArray[np.int64],
    shares: NDArray[np.float64],
    classes: Sequence[str],
    upright: bool,
) -> None:
    count = len(classes)
    names = [plain(name) for name in classes]
    axes.set_xticks(range(count), names, rotation=0 if upright else 45, ha="center" if upright else "right")
    if not upright:
        for label in axes.get_xticklabels():
            label.set_rotation_mode("anchor")
    axes.set_yticks(range(count), names)
    axes.set_xticks(np.arange(-0.5, count), minor=True)
    axes.set_yticks(np.arange(-0.5, count), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    digits = len(str(int(confusion.max())))
    font = min(9.0, 30 / max(digits, 3))
    for row, column in np.argwhere(confusion):
        axes.text(
            column,
            row,
            f"{confusion[row, column]}",
            ha="center",
            va="center",
            fontsize=font,
            color="white" if shares[row, column] > 0.4 else DARK,
        )
