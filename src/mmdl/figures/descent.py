"""Loss against epochs, steps and seconds, and the gradient-noise scale: one figure for several trainings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from mmdl.figures.style import BLUE, DARK, GREEN, ORANGE, RED, new_figure, plain, style, tidy

COLOURS = (BLUE, ORANGE, GREEN, RED, "#6a51a3", "#525252")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))


class Curve(NamedTuple):
    """One training.

    Attributes:
        label: For the legend.
        batch_size: Samples in a step.
        points: With `step`, `epochs`, `seconds`, `train_loss`, and sometimes `gradient_noise_scale`.
    """

    label: str
    batch_size: int
    points: Sequence[dict[str, float]]


def draw_descent(curves: Sequence[Curve]) -> Any:
    """Four panels with one legend: the loss by epochs, steps and seconds on a log axis, and the noise scale by epochs.

    Args:
        curves: One a training.

    Returns:
        A matplotlib figure.
    """
    with style():
        figure = new_figure(9.6, 7.4)
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1, wspace=0.04, hspace=0.04)
        panels = figure.subplots(2, 2)
        handles = []
        for number, curve in enumerate(curves):
            look = {
                "color": COLOURS[number % len(COLOURS)],
                "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
            }
            for axes, x in zip(panels.flat[:3], ("epochs", "step", "seconds"), strict=True):
                shown = [point for point in curve.points if x == "epochs" or point["step"] > 0]
                few = "o" if len(shown) < 30 else None
                handle = axes.plot(
                    [p[x] for p in shown], [p["train_loss"] for p in shown], marker=few, markersize=3, **look
                )
            handles += handle
            _noise(panels[1, 1], curve, look)
        _name(panels)
        figure.legend(
            handles,
            [plain(curve.label, 60) for curve in curves],
            loc="outside upper center",
            ncols=min(3, len(curves)),
        )
    return figure


def _noise(axes: Any, curve: Curve, look: dict[str, Any]) -> None:
    measured = [p for p in curve.points if math.isfinite(p.get("gradient_noise_scale", math.nan))]
    axes.plot(
        [p["epochs"] for p in measured],
        [p["gradient_noise_scale"] for p in measured],
        marker="o",
        markersize=4,
        **look,
    )
    axes.axhline(curve.batch_size, linewidth=0.9, alpha=0.7, color=look["color"], linestyle=(0, (1, 2)))


def _name(panels: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    loss = "loss over the whole training set"
    names = (
        ("By epochs: equal data seen", "epochs", loss),
        ("By optimizer steps: equal updates", "optimizer steps", loss),
        ("By time: equal seconds of training", "seconds of training", loss),
        ("Gradient-noise scale (dotted: the batch sizes)", "epochs", "tr Σ / |G|²  (samples)"),
    )
    for axes, (title, x, y) in zip(panels.flat, names, strict=True):
        axes.set_title(title, loc="left")
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_yscale("log")
        if x == "epochs":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            axes.set_xscale("log")
        tidy(axes, "both")
        axes.tick_params(which="minor", length=2, color=DARK)
