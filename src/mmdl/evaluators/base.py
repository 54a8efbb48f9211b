"""What an evaluator is: it turns the outputs of a model on a split into named figures with their counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from mmdl.data.base import DataModule
    from mmdl.tasks.base import Task


class Result(NamedTuple):
    """One figure.

    Attributes:
        name: Such as `vqa_accuracy`; the split or `baseline` is put before it.
        value: The figure, fractions in [0, 1].
        n: How many samples it was taken over.
        ci95: 95% interval (low, high), where one was computed.
    """

    name: str
    value: float
    n: int
    ci95: tuple[float, float] | None = None


class EvaluationContext(NamedTuple):
    """What an evaluator may look at.

    Attributes:
        task: The task, its model in eval mode.
        data: The data module, set up.
        split: `val` or `test`.
        outputs: Arrays by name, one row a sample, ordered by sample: what `Task.evaluate_batch` returned, gathered
            from all ranks.
        quick: The run is a smoke run: do as little as shows that everything works.
    """

    task: Task
    data: DataModule
    split: str
    outputs: Mapping[str, np.ndarray[Any, Any]]
    quick: bool = False


class Evaluator(Protocol):
    """Runs on the splits that it names."""

    splits: tuple[str, ...]

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield the figures; names that begin with `baseline/` stand outside the split's own."""


def qualified(result: Result, split: str) -> str:
    """The name under which a figure is logged and kept.

    >>> qualified(Result("vqa_accuracy", 0.9, 10), "test"), qualified(Result("baseline/x", 0.1, 10), "test")
    ('test/vqa_accuracy', 'baseline/x')
    """
    return result.name if result.name.startswith("baseline/") else f"{split}/{result.name}"
