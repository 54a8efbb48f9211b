"""A data set as it was classified without training on it: what figures, pictures and tables are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmdl.evaluators.base import Artifact
from mmdl.figures.confusion_matrix import draw_confusion_matrix
from mmdl.figures.style import save_png
from mmdl.metrics.class_scores import class_scores
from mmdl.metrics.confusion_matrix import confusion_matrix
from mmdl.runs.tables import write_csv


@dataclass
class ZeroShotClassified:
    """Similarities of images and classes.

    Attributes:
        name: Of the set.
        similarities: `(N, K)` float32, `N >= 1`.
        labels: `(N,)` int64.
        classes: The data's names of the `K` classes.
        prompted: What they were called in prompts.
    """

    name: str
    similarities: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: Sequence[str]
    prompted: Sequence[str]

    @cached_property
    def predictions(self) -> NDArray[np.int64]:
        """`(N,)` the nearest class; of equally near ones the first."""
        return self.similarities.argmax(1)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """`(N,)` whether it is right."""
        return self.predictions == self.labels

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """`(K, K)` counts, the label is the row."""
        return confusion_matrix(self.predictions, self.labels, len(self.classes))

    def mistakes(self) -> str:
        """The most frequent mistake in words; empty where there is none.

        >>> similarities = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)
        >>> ZeroShotClassified("x", similarities, np.array([0, 1]), ["cat", "dog"], ["cat", "dog"]).mistakes()
        ', most often dog taken for cat (1)'
        """
        errors = self.confusion.copy()
        np.fill_diagonal(errors, 0)
        row, column = divmod(int(errors.argmax()), len(self.classes))
        if not errors[row, column]:
            return ""
        return f", most often {self.classes[row]} taken for {self.classes[column]} ({errors[row, column]:,})"

    def draw(self, folder: Path, split: str) -> Artifact:
        """`zero_shot_<set>.png`: the confusion matrix.

        Args:
            folder: Where; made if need be.
            split: For the title.
        """
        said = f"{split}, n = {len(self.labels):,}, accuracy {self.correct.mean():.4f}"
        title = f"zero-shot {self.name} ({said})"
        figure = draw_confusion_matrix(self.confusion, self.classes, title)
        return Artifact(save_png(figure, folder / f"zero_shot_{_file_name(self.name)}.png"), title)

    def write_tables(self, folder: Path, split: str) -> Iterator[Artifact]:
        """`zero_shot_<set>_confusion.csv` and `zero_shot_<set>_per_class.csv`.

        Args:
            folder: Where; made if need be.
            split: For the captions.
        """
        stem = f"zero_shot_{_file_name(self.name)}"
        said = f"zero-shot {self.name}, {split}, n = {len(self.labels):,}"
        rows = [[name, *row] for name, row in zip(self.classes, self.confusion.tolist(), strict=True)]
        path = write_csv(folder / f"{stem}_confusion.csv", ["true class", *self.classes], rows)
        yield Artifact(path, f"confusion matrix ({said})")
        scores = class_scores(self.confusion)
        accuracy = np.where(scores.support > 0, scores.recall, np.nan)
        table = zip(
            self.classes, self.prompted, scores.support, accuracy, scores.precision, scores.f1, strict=True
        )
        columns = ["class", "prompted as", "n", "accuracy", "precision", "f1"]
        path = write_csv(folder / f"{stem}_per_class.csv", columns, table)
        yield Artifact(path, f"scores a class ({said})")


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
