"""What a person reads beside the figures of a classifier."""

from __future__ import annotations

from collections.abc import Iterator

from mmdl.evaluators.classified import Classified
from mmdl.metrics.threshold_sweep import ThresholdSweep

SHOWN_CLASSES = 10
"""Up to so many classes have a line each on the console."""


def notes(found: Classified, at_threshold: ThresholdSweep | None = None) -> Iterator[str]:
    """The pairs that are confused most, the classes without samples, and what the chosen threshold does.

    Args:
        found: The split.
        at_threshold: Counts at the threshold that was chosen on validation, for two classes.
    """
    pairs = [f"{true} -> {given}: {_times(count)}" for true, given, count in found.most_confused()]
    if pairs:
        yield f"most confused (true -> predicted)  {', '.join(pairs)}"
    absent = [name for name, count in zip(found.classes, found.scores.support, strict=True) if not count]
    if absent:
        names = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
        yield (
            f"{len(absent)} of {len(found.classes)} classes have no {found.split} image ({names}): the means leave "
            "them out, but for precision, recall and F1 where they were predicted"
        )
    if at_threshold is not None:
        [threshold] = at_threshold.threshold
        yield (
            f"threshold {threshold:.4f} on “{found.classes[found.positive]}”, of the best F1 on validation: "
            f"precision {at_threshold.precision[0]:.4f}, recall {at_threshold.recall[0]:.4f}, "
            f"F1 {at_threshold.f1[0]:.4f} (at 0.5: F1 {found.scores.f1[found.positive]:.4f})"
        )


def class_table(found: Classified) -> Iterator[str]:
    """Support, precision, recall and F1 of each class; nothing where there are many."""
    if len(found.classes) > SHOWN_CLASSES:
        return
    width = max(5, *(len(name) for name in found.classes))
    yield f"{'class':{width}}  {'n':>7}  precision  recall      f1"
    scores = found.scores
    for label, name in enumerate(found.classes):
        yield (
            f"{name:{width}}  {scores.support[label]:>7,}  {scores.precision[label]:>9.4f}  "
            f"{scores.recall[label]:.4f}  {scores.f1[label]:.4f}"
        )


def _times(count: int) -> str:
    """How often.

    >>> _times(1), _times(1200)
    ('once', '1,200 times')
    """
    return "once" if count == 1 else f"{count:,} times"
