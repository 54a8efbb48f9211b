"""Train and validation by epoch: where they part, and which epoch was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mmdl.figures.style import BLUE, DARK, GREY, ORANGE, new_figure, style, tidy


class CurvePoint(NamedTuple):
    """One validation.

    Attributes:
        step: Optimizer steps that were done.
        epoch: Epochs that were done, as a real number.
        train_loss: Mean loss over training samples, in eval mode.
        val_loss: Over the validation split.
        train_score: The score over the same training samples.
        val_score: Over the validation split.
    """

    step: int
    epoch: float
    train_loss: float | None
    val_loss: float | None
    train_score: float | None
    val_score: float | None

    @property
    def gap(self) -> float | None:
        """How much larger the validation's loss is."""
        if self.train_loss is None or self.val_loss is None:
            return None
        return self.val_loss - self.train_loss


def draw_learning_curves(
    points: Sequence[CurvePoint],
    score: str,
    chosen: CurvePoint | None = None,
    stopped: CurvePoint | None = None,
) -> Any:
    """The loss and, where there is one, the score; the gap at the end is named.

    Args:
        points: In the order of the steps.
        score: Name of the score.
        chosen: The validation whose weights were kept.
        stopped: Where early stopping ended the training.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.ticker import MaxNLocator

    panels = [("loss", [p.train_loss for p in points], [p.val_loss for p in points])]
    if any(point.val_score is not None for point in points):
        panels.append((score, [p.train_score for p in points], [p.val_score for p in points]))
    epochs = [point.epoch for point in points]
    with style():
        figure = new_figure(5.0 * len(panels), 4.0)
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08, wspace=0.04)
        for axes, (name, train, val) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            dots = "o" if len(points) < 30 else None
            axes.plot(
                *_known(epochs, train), color=BLUE, marker=dots, markersize=3, label="train (eval mode)"
            )
            axes.plot(*_known(epochs, val), color=ORANGE, marker=dots, markersize=3, label="validation")
            if name == "loss":
                axes.set_ylim(
                    bottom=0
                )  # linear from zero: the gap is a difference, and is as long as it is large
            _mark(axes, chosen, stopped, val[points.index(chosen)] if chosen in points else None)
            _gap(axes, epochs[-1], train[-1], val[-1])
            axes.set_title(f"{name[:1].upper()}{name[1:].replace('_', ' ')} by epoch", loc="left")
            axes.set_xlabel("epoch")
            axes.set_ylabel(name.replace("_", " "))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            tidy(axes, "y")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(handles))
    return figure


def _known(x: Sequence[float], y: Sequence[float | None]) -> tuple[list[float], list[float]]:
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if b is not None]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _mark(axes: Any, chosen: CurvePoint | None, stopped: CurvePoint | None, value: float | None) -> None:
    if chosen is not None:
        label = f"chosen by validation: epoch {chosen.epoch:g}"
        axes.axvline(chosen.epoch, color=DARK, linewidth=1.0, linestyle=(0, (4, 3)), label=label)
        if value is not None:
            axes.plot([chosen.epoch], [value], "o", markersize=7, markerfacecolor="none", color=DARK)
    if stopped is not None:
        label = f"early stopping: epoch {stopped.epoch:g}"
        axes.axvline(stopped.epoch, color=GREY, linewidth=1.0, linestyle=(0, (1, 1.5)), label=label)


def _gap(axes: Any, epoch: float, train: float | None, val: float | None) -> None:
    """A bracket to the right of the last epoch, with the difference."""
    if train is None or val is None:
        return
    low, high = axes.get_xlim()
    width = high - low
    axes.set_xlim(low, high + 0.14 * width)
    place = epoch + 0.04 * width
    axes.annotate(
        "",
        (place, train),
        (place, val),
        arrowprops={"arrowstyle": "<->", "color": DARK, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0},
    )
    text = f"gap\n{abs(val - train):.3f}"
    axes.annotate(text, (place + 0.02 * width, (train + val) / 2), va="center", fontsize=8)
