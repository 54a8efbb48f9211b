"""Scores of a binary classifier against its decision threshold."""

from __future__ import annotations

from typing import Any

from mmdl.figures.style import BLUE, DARK, GREEN, GREY, ORANGE, RED, new_figure, plain, style, tidy
from mmdl.metrics.threshold_sweep import ThresholdSweep


def draw_threshold_sweep(
    sweep: ThresholdSweep, positive: str, chosen: float | None = None, title: str = ""
) -> Any:
    """Precision, recall, F1 and balanced accuracy by threshold.

    Args:
        sweep: Ascending thresholds.
        positive: Name of the positive class.
        chosen: The threshold that was chosen on validation, marked.
        title: Above the lines.

    Returns:
        A matplotlib figure.
    """
    lines = (
        ("precision", sweep.precision, BLUE, "-"),
        ("recall", sweep.recall, ORANGE, "-"),
        ("F1", sweep.f1, RED, "-"),
        ("balanced accuracy", sweep.balanced_accuracy, GREEN, "--"),
    )
    with style():
        figure = new_figure(6.2, 4.2)
        axes = figure.add_subplot()
        for name, values, color, dashes in lines:
            axes.plot(sweep.threshold, values, color=color, linestyle=dashes, label=name)
        axes.axvline(0.5, color=GREY, linewidth=1, linestyle=":", label="0.5")
        if chosen is not None:
            axes.axvline(
                chosen, color=DARK, linewidth=1, label=f"best F1 on validation: {chosen:.3f}", zorder=1
            )
        axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="score")
        axes.set_xlabel(f"threshold: “{plain(positive)}” if its probability is at least this")
        axes.set_title(title or "threshold sweep")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        tidy(axes, "both")
    return figure
