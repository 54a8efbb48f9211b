"""Which classes are taken for which: from the evaluation's file, or counted over the predictions."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmdl.review.browsing.prediction_sets import Column, PredictionSet

MOST_BYTES = 8_000_000
"""Of a file that is read, some thousand classes; 10,000 classes take 200 MB and 20 s, and counting takes 0.1 s."""


class Confusion(NamedTuple):
    """Counts of pairs (true class, predicted class).

    Attributes:
        counts: Pairs that occur at least once.
        classes: In the order of the data, or sorted; those that never occur are missing where they are counted.
        source: `file` or `predictions`.
    """

    counts: dict[tuple[str, str], int]
    classes: list[str]
    source: str

    def of_class(self) -> dict[str, tuple[int, int, int]]:
        """Of each class: right, true and predicted counts."""
        right: Counter[str] = Counter()
        true: Counter[str] = Counter()
        predicted: Counter[str] = Counter()
        for (one, other), n in self.counts.items():
            true[one] += n
            predicted[other] += n
            right[one] += n if one == other else 0
        return {name: (right[name], true[name], predicted[name]) for name in self.classes}


def read_confusion(path: Path) -> Confusion | None:
    """The counts of an evaluation's `confusion_matrix.csv`; None where it is missing, damaged, or larger than is fast.

    Args:
        path: A table with the predicted classes in its first row and the true ones in its first column.
    """
    counts: dict[tuple[str, str], int] = {}
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        with path.open(newline="", encoding="utf-8", errors="replace") as handle:
            rows = csv.reader(handle)
            classes = next(rows)[1:]
            for row in rows:
                if len(row) != len(classes) + 1:
                    return None
                for name, cell in zip(classes, row[1:], strict=True):
                    if cell != "0":
                        counts[row[0], name] = int(cell)
    except (OSError, ValueError, StopIteration, csv.Error):
        return None
    known = set(classes)
    whole = len(known) == len(classes) > 1 and all(true in known and n > 0 for (true, _), n in counts.items())
    return Confusion(counts, classes, "file") if whole and counts else None


def count_confusion(found: PredictionSet, column: Column) -> Confusion | None:
    """The counts over the predictions of a classifier, or of VQA with its most common reference; None without any.

    Args:
        found: Of classification or VQA.
        column: One of its columns.
    """
    group = "class" if found.kind == "classification" else "answer"
    true = [facts.groups.get(group, "") for facts in found.facts]
    rows = np.flatnonzero(column.answered & np.isfinite(column.scores) & (column.texts[:, 0] >= 0))
    pairs = Counter((true[row], found.texts[column.texts[row, 0]]) for row in rows.tolist())
    counts = {pair: n for pair, n in pairs.items() if pair[0]}
    classes = sorted({name for pair in counts for name in pair}, key=natural)
    return Confusion(counts, classes, "predictions") if len(classes) > 1 else None


def natural(name: str) -> tuple[int, float, str]:
    """Numbers by their size, then words: a key to sort by.

    >>> sorted(["b", "10", "9"], key=natural)
    ['9', '10', 'b']
    """
    return (0, float(name), name) if name.isdecimal() and len(name) < 16 else (1, 0.0, name)
