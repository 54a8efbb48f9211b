"""A split as a model classified it: what figures, files and lines are made of, measured once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdl.metrics.calibration_error import calibration_error
from mmdl.metrics.class_scores import ClassScores, class_scores
from mmdl.metrics.confusion_matrix import confusion_matrix
from mmdl.metrics.one_vs_rest import one_vs_rest

FloatArray = NDArray[np.float64]


@dataclass
class Classified:
    """Probabilities and labels, and what follows from them; each is taken when it is first asked for.

    Attributes:
        probabilities: `(N, K)` float32, `N >= 1`.
        labels: `(N,)` int64.
        classes: Names of the `K` classes.
        split: `train`, `val` or `test`.
        bins: Of the calibration error.
        positive: Number of the positive class, where there are two.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: Sequence[str]
    split: str
    bins: int
    positive: int

    @property
    def count(self) -> int:
        """`N`."""
        return len(self.labels)

    @property
    def binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.classes) == 2

    @cached_property
    def predictions(self) -> NDArray[np.int64]:
        """`(N,)` the most probable class; of equal ones the first."""
        return self.probabilities.argmax(1)

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        """`(N,)` its probability."""
        return self.probabilities.max(1)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """`(N,)` whether it is right."""
        return self.predictions == self.labels

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """`(K, K)` counts, the label is the row."""
        return confusion_matrix(self.predictions, self.labels, len(self.classes))

    @cached_property
    def scores(self) -> ClassScores:
        """Counts and scores a class."""
        return class_scores(self.confusion)

    @property
    def accuracy(self) -> float:
        """Share of samples that are right."""
        return int(self.scores.tp.sum()) / self.count

    @cached_property
    def calibration_error(self) -> float:
        """Expected calibration error."""
        return calibration_error(self.confidence, self.correct, self.bins)

    @cached_property
    def ranked(self) -> tuple[FloatArray, FloatArray]:
        """AUROC and average precision, `(K,)` each, NaN where a class has none."""
        return one_vs_rest(self.probabilities, self.labels)

    def overall(self, by_class: FloatArray) -> float | None:
        """One number for AUROC or average precision: the positive class's of two, else the mean over the classes."""
        if self.binary:
            value = by_class[self.positive]
            return float(value) if np.isfinite(value) else None
        return float(np.nanmean(by_class)) if np.isfinite(by_class).any() else None

    @property
    def positive_scores(self) -> NDArray[np.float32]:
        """`(N,)` probability of the positive class."""
        return self.probabilities[:, self.positive]

    @cached_property
    def is_positive(self) -> NDArray[np.bool_]:
        """`(N,)` whether a sample belongs to the positive class."""
        return self.labels == self.positive

    def most_confused(self, most: int = 5) -> list[tuple[str, str, int]]:
        """Pairs of true and predicted class with their counts, the most frequent first."""
        errors = self.confusion.copy()
        np.fill_diagonal(errors, 0)
        order = np.argsort(-errors, axis=None, kind="stable")[:most]
        pairs = [divmod(int(cell), len(self.classes)) for cell in order]
        return [
            (self.classes[row], self.classes[column], int(errors[row, column]))
            for row, column in pairs
            if errors[row, column]
        ]


def classified(outputs: Any, classes: Sequence[str], split: str, bins: int, positive: int) -> Classified:
    """From the outputs of `ClassificationTask.evaluate_batch`, gathered.

    Args:
        outputs: `probabilities` and `labels`.
        classes: Names of the classes.
        split: Which split.
        bins: Of the calibration error.
        positive: Number of the positive class.
    """
    labels = outputs["labels"].astype(np.int64)
    return Classified(outputs["probabilities"], labels, classes, split, bins, positive)
