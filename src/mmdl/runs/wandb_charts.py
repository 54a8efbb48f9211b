"""Tables of a run folder as W&B shows them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import Any

from mmdl.evaluators.base import Artifact
from mmdl.runs.tracker_end import tracker_may_end

NAMES = ("class", "true class")
"""Columns of class names."""

MOST_ROWS = 10_000
"""W&B shows no more rows of a table; a confusion matrix has a row a cell."""


def table_chart(table: Artifact) -> Any:
    """A `.csv` file as W&B's confusion matrix, where it is one, or as a table; None for what is too long.

    Args:
        table: The file, its first line the names of the columns.
    """
    import wandb

    path = table.path
    with path.open(newline="", encoding="utf-8") as handle:
        columns, *cells = csv.reader(handle)
    # A class may be called 7; the others are numbers, or empty where there is none, or text throughout.
    named = [
        (column in NAMES and not index) or not all(_is_number(row[index]) for row in cells if row[index])
        for index, column in enumerate(columns)
    ]
    rows = [[cell if name else _number(cell) for name, cell in zip(named, row, strict=True)] for row in cells]
    if path.stem != "confusion_matrix" and not path.stem.endswith("_confusion"):
        return wandb.Table(columns=columns, data=rows) if len(rows) <= MOST_ROWS else None
    if len(rows) ** 2 > MOST_ROWS:
        return None
    # What `wandb.plot.confusion_matrix` makes of single predictions, from the counts.
    counts = [
        [true, predicted, count]
        for true, *row in rows
        for predicted, count in zip(columns[1:], row, strict=True)
    ]
    names = ["Actual", "Predicted", "nPredictions"]
    return wandb.plot_table(
        vega_spec_name="wandb/confusion_matrix/v1",
        data_table=wandb.Table(columns=names, data=counts),
        fields={column: column for column in names},
        string_fields={"title": table.caption},
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def log_lines(loggers: Iterable[Any], name: str, lines: Sequence[Any], title: str) -> None:
    """Lines over the optimizer steps as one chart of W&B; other loggers take none.

    Args:
        loggers: The run's loggers.
        name: Name of the chart.
        lines: Each with `name`, `steps` and `values`.
        title: Above the chart.
    """
    from lightning.pytorch.loggers import WandbLogger

    for logger in loggers:
        if isinstance(logger, WandbLogger) and not getattr(logger, "lost", False):
            import wandb

            chart = wandb.plot.line_series(
                xs=[line.steps for line in lines],
                ys=[line.values for line in lines],
                keys=[line.name for line in lines],
                title=title,
                xname="optimizer step",
            )
            with tracker_may_end(logger):
                logger.experiment.log({name: chart})
