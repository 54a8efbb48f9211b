"""ROC and precision-recall curves: a line a class, or their mean where there are many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdl.figures.style import BLUE, GREY, ORANGE, new_figure, plain, style, tidy
from mmdl.metrics.ranking_counts import RankingCounts, ranking_counts

FloatArray = NDArray[np.float64]
Curve = Callable[[RankingCounts], tuple[FloatArray, FloatArray]]

NAMED = 20
"""Up to so many classes have a line each."""

MICRO_ELEMENTS = 5_000_000
"""The micro average sorts all probabilities at once: it is drawn up to so many."""

MEAN_OF = 200
"""The mean is drawn over so many classes at most, evenly spread; each takes two sorts of all samples."""

_GRID = np.linspace(0, 1, 501)


class _Kind(NamedTuple):
    """What the two figures differ in."""

    curve: Curve
    x: str
    y: str
    score: str
    legend: str
    steps: str


def _roc(counts: RankingCounts) -> tuple[FloatArray, FloatArray]:
    return counts.false_positive_rate, counts.recall


def _precision_recall(counts: RankingCounts) -> tuple[FloatArray, FloatArray]:
    return counts.recall, counts.precision


_ROC = _Kind(_roc, "false positive rate", "true positive rate", "AUROC", "lower right", "steps-post")
# The steps of average precision: each precision counts for the recall that was won to reach it.
_PRECISION_RECALL = _Kind(
    _precision_recall, "recall", "precision", "average precision", "lower left", "steps-pre"
)


def draw_roc(
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    classes: Sequence[str],
    auroc: FloatArray,
    columns: Sequence[int] | None = None,
    title: str = "",
) -> Any:
    """ROC curves, each class against all others.

    Args:
        probabilities: `(N, K)` in [0, 1].
        labels: `(N,)` integers in [0, K).
        classes: Names of the `K` classes.
        auroc: `(K,)` area of each class, NaN where there is no curve.
        columns: Classes to draw; None draws all, and with more than 20 their mean.
        title: Above the curves.

    Returns:
        A matplotlib figure.
    """
    return _draw(_ROC, probabilities, labels, classes, auroc, columns, title or "ROC curves")


def draw_precision_recall(
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    classes: Sequence[str],
    average_precision: FloatArray,
    columns: Sequence[int] | None = None,
    title: str = "",
) -> Any:
    """Precision-recall curves, each class against all others; the arguments are those of `draw_roc`."""
    return _draw(
        _PRECISION_RECALL,
        probabilities,
        labels,
        classes,
        average_precision,
        columns,
        title or "precision-recall curves",
    )


def _draw(
    kind: _Kind,
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    classes: Sequence[str],
    scores: FloatArray,
    columns: Sequence[int] | None,
    title: str,
) -> Any:
    chosen = range(len(classes)) if columns is None else columns
    drawn = [column for column in chosen if np.isfinite(scores[column])]
    with style():
        named = len(drawn) <= NAMED
        figure = new_figure(6.6 if named and len(drawn) > 1 else 5.0, 4.8 if named else 5.6)
        axes = figure.add_subplot()
        lines = [axes]
        if named and drawn and np.nanmean(scores[drawn]) > 0.97:
            lines.append(_corner(axes, kind))
        if kind is _ROC:
            axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="chance")
        if named:
            _named_curves(lines, kind, probabilities, labels, classes, scores, drawn)
        else:
            _mean_curves(axes, kind, probabilities, labels, scores, drawn)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=kind.x, ylabel=kind.y)
        axes.set_aspect("equal")
        axes.set_title(title)
        tidy(axes, "both")
        if named and len(drawn) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), title=f"class ({kind.score})")
        elif named:
            axes.legend(loc=kind.legend)
        else:
            figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center")
    return figure


def _corner(axes: Any, kind: _Kind) -> Any:
    """A magnified view of the corner that good curves hug."""
    inset = axes.inset_axes((0.3, 0.2, 0.55, 0.55) if kind is _ROC else (0.15, 0.2, 0.55, 0.55))
    inset.set(xlim=(0, 0.1) if kind is _ROC else (0.9, 1), ylim=(0.9, 1.002))
    inset.tick_params(labelsize=6.5)
    inset.set_title("the corner, magnified", fontsize=7, fontweight="normal")
    tidy(inset, "both")
    axes.indicate_inset_zoom(inset, edgecolor=GREY)
    return inset


def _named_curves(
    lines: Sequence[Any],
    kind: _Kind,
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    classes: Sequence[str],
    scores: FloatArray,
    drawn: Sequence[int],
) -> None:
    import matplotlib

    palette = matplotlib.colormaps["tab10" if len(drawn) <= 10 else "tab20"]
    colors = [BLUE] if len(drawn) == 1 else [palette(number) for number in range(palette.N)]
    for position, column in enumerate(drawn):
        x, y = kind.curve(ranking_counts(probabilities[:, column], labels == column))
        text = f"{plain(classes[column])} ({scores[column]:.4f})"
        if len(drawn) == 1:
            text = f"{plain(classes[column])}, {kind.score} {scores[column]:.4f}"
        for axes in lines:
            axes.plot(
                x, y, drawstyle=kind.steps, color=colors[position % len(colors)], linewidth=1.4, label=text
            )


def _mean_curves(
    axes: Any,
    kind: _Kind,
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    scores: FloatArray,
    drawn: Sequence[int],
) -> None:
    """Mean over the classes at equal x, the range of most classes, and all decisions as one problem (micro)."""
    overall, whole = float(np.mean(scores[drawn])), len(drawn)
    drawn = drawn[:: -(-whole // MEAN_OF)]
    lines = np.empty((len(drawn), len(_GRID)))
    for position, column in enumerate(drawn):
        x, y = kind.curve(ranking_counts(probabilities[:, column], labels == column))
        lines[position] = _on_grid(kind, x, y)
    low, high = np.quantile(lines, [0.1, 0.9], axis=0)
    axes.fill_between(_GRID, low, high, color=BLUE, alpha=0.18, linewidth=0, label="80% of the classes")
    of = f" of {whole:,}" if len(drawn) < whole else ""
    how = "" if kind is _ROC else ", interpolated"
    mean = f"mean of {len(drawn)}{of} classes{how} ({kind.score} {overall:.4f})"
    axes.plot(_GRID, lines.mean(0), color=BLUE, label=mean)
    if probabilities.size <= MICRO_ELEMENTS:
        positive = np.arange(probabilities.shape[1]) == labels[:, None]
        x, y = kind.curve(ranking_counts(probabilities.reshape(-1), positive.reshape(-1)))
        axes.plot(
            x, y, drawstyle=kind.steps, color=ORANGE, linewidth=1.2, label="all decisions together (micro)"
        )


def _on_grid(kind: _Kind, x: FloatArray, y: FloatArray) -> FloatArray:
    """A curve at equal steps of x: the best y that is reached at no more (ROC) or no less (recall) than that x."""
    if kind is _ROC:
        return y[np.searchsorted(x, _GRID, side="right") - 1]
    best = np.maximum.accumulate(y[::-1])[::-1]
    return best[np.searchsorted(x, _GRID, side="left")]
