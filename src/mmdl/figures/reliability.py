"""The reliability diagram: is a classifier as often right as it says?"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmdl.figures.style import BLUE, DARK, GREY, RED, new_figure, style, tidy
from mmdl.metrics.calibration_error import ReliabilityBins


def draw_reliability(bins: ReliabilityBins, error: float, title: str = "") -> Any:
    """Accuracy by confidence above, how many predictions have that confidence below.

    Args:
        bins: What `reliability_bins` returned.
        error: The expected calibration error over the same bins.
        title: Above the diagram.

    Returns:
        A matplotlib figure.
    """
    width = bins.high - bins.low
    middle = (bins.low + bins.high) / 2
    filled = bins.samples > 0
    total = int(bins.samples.sum())
    with style():
        figure = new_figure(4.8, 5.6)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
        upper.bar(
            middle[filled],
            bins.accuracy[filled],
            width[filled],
            color=BLUE,
            edgecolor="white",
            linewidth=0.8,
            label="accuracy",
        )
        gap = bins.confidence[filled] - bins.accuracy[filled]
        upper.bar(
            middle[filled],
            gap,
            width[filled],
            bottom=bins.accuracy[filled],
            color=(0, 0, 0, 0),
            edgecolor=RED,
            hatch="////",
            linewidth=0.8,
            label="gap to the mean confidence",
        )
        upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        figure.suptitle(title or "reliability diagram", fontsize=10, fontweight="bold")
        upper.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.2)
        upper.text(
            0.97,
            0.05,
            f"ECE {100 * error:.2f}%\nn = {total:,}",
            ha="right",
            transform=upper.transAxes,
            bbox={"facecolor": "white", "edgecolor": "#e4e7eb", "boxstyle": "round,pad=0.4"},
        )
        tidy(upper, "y")
        lower.bar(middle, np.maximum(bins.samples, 0), width, color=GREY, edgecolor="white", linewidth=0.8)
        lower.set_yscale("symlog", linthresh=1)
        lower.set_ylim(0, max(1, bins.samples.max()) * 4)
        lower.set(xlabel="confidence of the prediction", ylabel="predictions")
        for x, count in zip(middle, bins.samples.tolist(), strict=True):
            if count:
                lower.text(x, count * 1.25, f"{count:,}", ha="center", fontsize=6, color=DARK)
        tidy(lower)
    return figure
