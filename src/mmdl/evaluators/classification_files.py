"""Tables and figures of a classified split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmdl.evaluators.base import Artifact
from mmdl.evaluators.classified import Classified
from mmdl.figures.confusion_matrix import draw_confusion_matrix
from mmdl.figures.curves import draw_precision_recall, draw_roc
from mmdl.figures.reliability import draw_reliability
from mmdl.figures.style import save_png
from mmdl.figures.threshold_sweep import draw_threshold_sweep
from mmdl.metrics.calibration_error import reliability_bins
from mmdl.metrics.threshold_sweep import threshold_sweep
from mmdl.runs.tables import write_csv

THRESHOLDS = np.linspace(0, 1, 101)


def write_files(found: Classified, folder: Path, threshold: float | None = None) -> Iterator[Artifact]:
    """Write the files of a split one by one.

    `confusion_matrix`, `reliability`, and for two classes `threshold_sweep` as `.csv` and `.png`; `per_class.csv`;
    `roc.png` and `precision_recall.png`.

    Args:
        found: The split.
        folder: Where; made if need be.
        threshold: The one that was chosen on validation.
    """
    said = f"{found.split}, n = {found.count:,}"
    yield _confusion_table(found, folder / "confusion_matrix.csv", said)
    title = f"confusion matrix ({said}, accuracy {found.accuracy:.4f})"
    figure = draw_confusion_matrix(found.confusion, found.classes, title)
    yield Artifact(save_png(figure, folder / "confusion_matrix.png"), title)
    yield _class_table(found, folder / "per_class.csv", said)
    bins = reliability_bins(found.confidence, found.correct, found.bins)
    path = folder / "reliability.csv"
    yield Artifact(write_csv(path, bins._fields, zip(*bins, strict=True)), f"reliability ({said})")
    title = f"reliability ({said})"
    figure = draw_reliability(bins, found.calibration_error, title)
    yield Artifact(save_png(figure, folder / "reliability.png"), title)
    columns = [found.positive] if found.binary else None
    auroc, precision = found.ranked
    for name, draw, values in (
        ("roc", draw_roc, auroc),
        ("precision_recall", draw_precision_recall, precision),
    ):
        if np.isfinite(values).any():
            title = f"{'ROC' if name == 'roc' else 'precision-recall'} ({said})"
            figure = draw(found.probabilities, found.labels, found.classes, values, columns, title)
            yield Artifact(save_png(figure, folder / f"{name}.png"), title)
    if found.binary:
        yield from _threshold_files(found, folder, said, threshold)


def _confusion_table(found: Classified, path: Path, said: str) -> Artifact:
    rows = [[name, *row] for name, row in zip(found.classes, found.confusion.tolist(), strict=True)]
    columns = ["true class", *found.classes]
    return Artifact(write_csv(path, columns, rows), f"confusion matrix ({said})")


def _class_table(found: Classified, path: Path, said: str) -> Artifact:
    auroc, precision = found.ranked
    rows = zip(found.classes, *found.scores, auroc, precision, strict=True)
    columns = ["class", *found.scores._fields, "auroc", "average_precision"]
    return Artifact(write_csv(path, columns, rows), f"scores a class ({said})")


def _threshold_files(
    found: Classified, folder: Path, said: str, threshold: float | None
) -> Iterator[Artifact]:
    sweep = threshold_sweep(found.positive_scores, found.is_positive, THRESHOLDS)
    columns = (*sweep._fields, "precision", "recall", "f1", "balanced_accuracy")
    rows = zip(*(getattr(sweep, name) for name in columns), strict=True)
    title = f"threshold sweep ({said})"
    yield Artifact(write_csv(folder / "threshold_sweep.csv", columns, rows), title)
    figure = draw_threshold_sweep(sweep, found.classes[found.positive], threshold, title)
    yield Artifact(save_png(figure, folder / "threshold_sweep.png"), title)
