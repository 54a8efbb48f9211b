"""Figures of a classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mmdl.evaluators.base import EvaluationContext, Result
from mmdl.metrics.bootstrap import bootstrap_interval


class ClassificationEvaluator:
    """Accuracy.

    Args:
        splits: Splits on which it runs.
        resamples: Bootstrap resamples of the 95% interval on the test split.
    """

    def __init__(self, splits: Sequence[str] = ("val", "test"), resamples: int = 2000) -> None:
        self.splits = tuple(splits)
        self.resamples = resamples

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield `accuracy`; nothing on a split without references."""
        if "labels" not in context.outputs:
            return
        correct = (context.outputs["probabilities"].argmax(1) == context.outputs["labels"]).astype(float)
        interval = bootstrap_interval(correct, resamples=self.resamples) if context.split == "test" else None
        yield Result("accuracy", float(correct.mean()), len(correct), interval)
        if context.split == "test":
            share = np.bincount(context.outputs["labels"]).max() / len(correct)
            yield Result("baseline/most_common/accuracy", float(share), len(correct))
