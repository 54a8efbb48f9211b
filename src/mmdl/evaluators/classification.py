"""Figures of a classifier: accuracy, per-class scores, ranking, calibration, and the threshold of a binary one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmdl.data.base import DataModule
from mmdl.data.images import ImageDataModule
from mmdl.errors import UserError, nearest
from mmdl.evaluators.base import Artifact, EvaluationContext, Result
from mmdl.evaluators.class_keys import class_keys
from mmdl.evaluators.classification_files import write_files
from mmdl.evaluators.classification_lines import class_table, notes
from mmdl.evaluators.classified import Classified, classified
from mmdl.metrics.bootstrap import bootstrap_interval
from mmdl.metrics.threshold_sweep import ThresholdSweep, best_f1_threshold, threshold_sweep
from mmdl.metrics.top_k_accuracy import top_k_accuracy
from mmdl.runs.image_predictions import constant_records
from mmdl.runs.item_files import Predictions

TOP = 5

MANY_CLASSES = 100
"""With more classes, figures a class are in `per_class.csv` only, and what is ranked waits for the end of training."""

THRESHOLD = "threshold/best_f1"


class ClassificationEvaluator:
    """Scores the most probable class, the ranking by probability, and the probabilities themselves.

    `precision`, `recall` and `f1` are means over the classes that occur among labels or predictions (`recall` is also
    called balanced accuracy), as scikit-learn takes them with `zero_division=0`. `auroc` and `average_precision` are
    means over the classes that have samples, each against all others; with two classes they are those of the
    positive one. `calibration_error` is that of the predicted class.

    Args:
        splits: Splits on which it runs.
        resamples: Bootstrap resamples of the 95% interval in a final evaluation; 0: no interval.
        calibration_bins: Bins of equal width for the calibration error and the reliability diagram.
        positive: Name of the positive class, where there are two; None takes the second one.
    """

    brief = ("accuracy", "top5_accuracy", "f1")
    headline = ("accuracy", "top5_accuracy", "f1", "auroc", "calibration_error")

    def __init__(
        self,
        splits: Sequence[str] = ("train", "val", "test"),
        resamples: int = 2000,
        calibration_bins: int = 15,
        positive: str | None = None,
    ) -> None:
        if calibration_bins < 1:
            raise UserError(
                f"evaluator.classification.calibration_bins={calibration_bins}", valid="at least 1"
            )
        self.splits = tuple(splits)
        self.resamples = resamples
        self.calibration_bins = calibration_bins
        self.positive = None if positive is None else str(positive)
        self._measured: tuple[EvaluationContext, Classified] | None = None
        self._threshold: tuple[float, int] | None = None

    def check(self, data: DataModule) -> None:
        """The positive class must be one of two.

        Raises:
            UserError: if it is not.
        """
        assert isinstance(data, ImageDataModule)
        if self.positive is None or (len(data.classes) == 2 and self.positive in data.classes):
            return
        raise UserError(
            f"evaluator.classification.positive={self.positive!r}, and the classes are "
            + ", ".join(data.classes[:5])
            + (", ..." if len(data.classes) > 5 else ""),
            valid=nearest(self.positive, data.classes)
            if len(data.classes) == 2
            else "null: only two classes have one",
        )

    def tunes(self, data: DataModule) -> bool:
        """With two classes, the threshold of the best F1 is chosen on validation."""
        return isinstance(data, ImageDataModule) and data.num_classes == 2

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield the figures; nothing on a split without references."""
        self._measured = None
        if not len(context.outputs.get("labels", ())):
            return
        found = self._measure(context)
        n, many = found.count, len(found.classes) > MANY_CLASSES
        interval = None
        if context.final and self.resamples:
            interval = bootstrap_interval(found.correct.astype(float), resamples=self.resamples)
        yield Result("accuracy", found.accuracy, n, interval)
        if len(found.classes) > TOP:
            yield Result(f"top{TOP}_accuracy", top_k_accuracy(found.probabilities, found.labels, TOP), n)
        for name in ("precision", "recall", "f1"):
            yield Result(name, found.scores.macro(getattr(found.scores, name)), n)
        if context.final or not many:
            for name, by_class in zip(("auroc", "average_precision"), found.ranked, strict=True):
                value = found.overall(by_class)
                if value is not None:
                    yield Result(name, value, n)
        yield Result("calibration_error", found.calibration_error, n)
        if found.binary:
            yield from self._at_threshold(found, context)
        if context.final:
            yield self._baseline(found, context)
        if context.final and not many:
            yield from _class_results(found)

    def write(self, context: EvaluationContext, folder: Path) -> Iterator[Artifact]:
        """Write tables and figures; see `write_files`."""
        if len(context.outputs.get("labels", ())):
            threshold = self._threshold[0] if self._threshold else None
            yield from write_files(self._measure(context), folder, threshold)

    def notes(self, context: EvaluationContext) -> Iterator[str]:
        """What is confused most, classes without samples, and what the chosen threshold does."""
        if len(context.outputs.get("labels", ())):
            found = self._measure(context)
            yield from notes(found, self._sweep(found) if self._threshold and found.binary else None)

    def table(self, context: EvaluationContext) -> Iterator[str]:
        """The scores of each class, where they fit on a screen."""
        if len(context.outputs.get("labels", ())):
            yield from class_table(self._measure(context))

    def _measure(self, context: EvaluationContext) -> Classified:
        """What was measured for this context already, or new."""
        if self._measured is None or self._measured[0] is not context:
            data = context.data
            assert isinstance(data, ImageDataModule)
            positive = 1 if self.positive is None else data.classes.index(self.positive)
            found = classified(context.outputs, data.classes, context.split, self.calibration_bins, positive)
            self._measured = context, found
        return self._measured[1]

    def _at_threshold(self, found: Classified, context: EvaluationContext) -> Iterator[Result]:
        """On validation the threshold itself; elsewhere what the threshold that was chosen there does."""
        if found.split == "val":
            self._threshold = None
            if 0 < found.is_positive.sum() < found.count:
                self._threshold = best_f1_threshold(found.positive_scores, found.is_positive), found.count
        elif self._threshold is None and THRESHOLD in context.recorded:
            recorded = context.recorded[THRESHOLD]
            self._threshold = float(recorded["value"]), int(recorded["n"])
        if self._threshold is None or not context.final:
            return
        yield Result(THRESHOLD, *self._threshold)
        if found.split != "val":
            sweep = self._sweep(found)
            for name in ("accuracy", "balanced_accuracy", "precision", "recall", "f1"):
                yield Result(f"{name}/best_threshold", float(getattr(sweep, name)[0]), found.count)

    def _sweep(self, found: Classified) -> ThresholdSweep:
        """Counts at the chosen threshold."""
        assert self._threshold is not None
        return threshold_sweep(found.positive_scores, found.is_positive, np.array([self._threshold[0]]))

    def baselines(self, context: EvaluationContext) -> Iterator[tuple[str, Predictions]]:
        """What always answering with the most common class says of each image."""
        if len(context.outputs.get("labels", ())):
            assert isinstance(context.data, ImageDataModule)
            counts = self._counts(self._measure(context), context)
            records = constant_records(context.data, context.split, context.outputs["rows"], counts)
            yield "most_common", Predictions("classification", "accuracy", records)

    def _counts(self, found: Classified, context: EvaluationContext) -> np.ndarray[Any, Any]:
        """`(K,)` training images of each class; without those, of the split itself."""
        assert isinstance(context.data, ImageDataModule)
        counts = context.data.train_counts
        return found.scores.support if counts is None else counts

    def _baseline(self, found: Classified, context: EvaluationContext) -> Result:
        """Always answering with the most common class."""
        counts = self._counts(found, context)
        share = int(found.scores.support[counts.argmax()]) / found.count
        return Result("baseline/most_common/accuracy", share, found.count)


def _class_results(found: Classified) -> Iterator[Result]:
    """Every figure of every class that has a value."""
    columns = {name: getattr(found.scores, name) for name in ("precision", "recall", "f1")}
    columns |= dict(zip(("auroc", "average_precision"), found.ranked, strict=True))
    for label, key in enumerate(class_keys(found.classes)):
        for name, values in columns.items():
            if np.isfinite(values[label]):
                yield Result(f"{name}/class/{key}", float(values[label]), found.count)
        for name in ("tp", "fp", "fn", "tn"):
            yield Result(f"{name}/class/{key}", int(getattr(found.scores, name)[label]), found.count)
