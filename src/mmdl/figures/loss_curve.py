"""The loss of training and validation over the steps, between the chance level and the lowest possible loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmdl.figures.style import BLUE, DARK, GREY, ORANGE, new_figure, style, tidy

NAMES = {
    "train/loss": "train",
    "val/loss": "validation",
    "train/chance_level": "chance level (train)",
    "train/loss_floor": "lowest possible (captions repeat)",
}
"""Metric -> what it is called; in the order of the legend."""


class Line(NamedTuple):
    """One line of the figure.

    Attributes:
        name: What it is called.
        steps: Optimizer steps, rising.
        values: As many.
    """

    name: str
    steps: list[int]
    values: list[float]


def loss_lines(rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The lines from the rows of `metrics.jsonl`; empty without a training loss.

    >>> loss_lines([{"step": 2, "train/loss": 0.5}, {"step": 2, "train/chance_level": 0.7}])
    [Line(name='train', steps=[2], values=[0.5]), Line(name='chance level (train)', steps=[2], values=[0.7])]
    """
    lines = []
    for metric, name in NAMES.items():
        found = {
            int(row["step"]): row[metric] for row in rows if metric in row and row.get("step") is not None
        }
        numbers = {step: float(value) for step, value in sorted(found.items()) if not isinstance(value, str)}
        if numbers:
            lines.append(Line(name, list(numbers), list(numbers.values())))
    return lines if lines and lines[0].name == "train" else []


def draw_loss_curve(lines: Sequence[Line]) -> Any:
    """Draw the losses, with the chance level as a labelled line.

    Args:
        lines: From `loss_lines`.

    Returns:
        A matplotlib figure.
    """
    looks: dict[str, dict[str, Any]] = {
        "train": {"color": BLUE},
        "validation": {"color": ORANGE, "marker": "o", "markersize": 3},
        NAMES["train/chance_level"]: {"color": DARK, "linestyle": (0, (4, 3)), "linewidth": 1.2},
        NAMES["train/loss_floor"]: {"color": GREY, "linestyle": (0, (1, 1.5)), "linewidth": 1.2},
    }
    with style():
        figure = new_figure(7.0, 4.2)
        axes = figure.add_subplot()
        for line in lines:
            axes.plot(line.steps, line.values, label=line.name, **looks[line.name])
        by_name = {line.name: line for line in lines}
        chance = by_name.get(NAMES["train/chance_level"])
        highest = max(max(line.values) for line in lines)
        if chance is not None:
            # a loss that exploded must not press everything else flat
            highest = min(highest, 2 * max(chance.values))
            level = float(np.median(chance.values))
            axes.annotate(
                f"chance level {level:.3f}",
                (1.0, level),
                xycoords=("axes fraction", "data"),
                xytext=(-2, 3),
                textcoords="offset points",
                ha="right",
                fontsize=8,
            )
        axes.set_ylim(0, 1.08 * highest if highest > 0 else 1)
        axes.set_title("Contrastive loss by step", loc="left")
        axes.set_xlabel("optimizer step")
        axes.set_ylabel("loss (nats)")
        tidy(axes, "y")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(lines))
    return figure
