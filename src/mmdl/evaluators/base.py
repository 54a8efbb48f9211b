"""What an evaluator is: it turns the outputs of a model on a split into named figures with their counts, and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from mmdl.data.base import DataModule
    from mmdl.tasks.base import Task

STANDALONE = ("baseline/", "threshold/")
"""Beginnings of names that stand for themselves, without a split before them."""


class Result(NamedTuple):
    """One figure.

    Attributes:
        name: Such as `vqa_accuracy`; the split is put before it. What belongs to one class follows the name:
            `recall/class/cat`.
        value: The figure: fractions in [0, 1], or a count.
        n: How many samples it was taken over.
        ci95: 95% interval (low, high), where one was computed.
    """

    name: str
    value: float
    n: int
    ci95: tuple[float, float] | None = None


class Artifact(NamedTuple):
    """A file that an evaluator wrote.

    Attributes:
        path: The file; a `.png` goes to the trackers as an image, a `.csv` as a table.
        caption: One line that says what it shows.
    """

    path: Path
    caption: str


class EvaluationContext(NamedTuple):
    """What an evaluator may look at.

    Attributes:
        task: The task, its model in eval mode.
        data: The data module, set up.
        split: `train`, `val` or `test`.
        outputs: Arrays by name, one row a sample, ordered by sample: what `Task.evaluate_batch` returned, gathered
            from all ranks.
        quick: The run is a smoke run: do as little as shows that everything works.
        final: The evaluation after training, or of `mmdl eval`; False at a validation during training, where only
            the overall figures are wanted.
        recorded: The run's summary, in `mmdl eval`: full name -> `{"value", "n", "ci95"}`.
        shared: What the evaluators of this evaluation keep for each other, such as features of images; None: nothing.
    """

    task: Task
    data: DataModule
    split: str
    outputs: Mapping[str, np.ndarray[Any, Any]]
    quick: bool = False
    final: bool = True
    recorded: Mapping[str, Any] = {}
    shared: dict[Any, Any] | None = None


class Evaluator(Protocol):
    """Runs on the splits that it names.

    It may also have any of these, which the programs look for:

    `brief: tuple[str, ...]`
        Names of the figures for the line of an epoch on the console, beside the loss; where no evaluator has it, all
        figures without a further slash are there.
    `headline: tuple[str, ...]`
        Names of the figures for the card at the end of a run.
    `check(data)`
        Raises `UserError` where the settings don't fit the data; called before training.
    `tunes(data) -> bool`
        Whether it chooses something on the validation split (a threshold) that it applies to the test split. It is
        then run on `val` with the final weights before it is run on `test`.
    `pictures(context, folder) -> Iterator[Artifact]`
        Writes pictures into `folder` that are worth a look at every validation during training; after `run` was called
        with the same context, on one rank.
    `write(context, folder) -> Iterator[Artifact]`
        Writes files into `folder` after `run` was called with the same context; on one rank, in a final evaluation.
    `baselines(context) -> Iterator[tuple[str, Predictions]]`
        What baselines predict of each item, by name, in the form of the run's own predictions (`mmdl.runs.item_files`);
        after `run` was called with the same context, on one rank, in a final evaluation.
    `notes(context) -> Iterator[str]`
        Lines for a person beside the figures of a final evaluation; likewise after `run`, on one rank.
    `table(context) -> Iterator[str]`
        Further lines, which `mmdl eval` prints and the card does not.
    """

    splits: tuple[str, ...]

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield the figures; names that begin with `baseline/` stand outside the split's own."""


def qualified(result: Result, split: str) -> str:
    """The name under which a figure is logged and kept.

    >>> qualified(Result("vqa_accuracy", 0.9, 10), "test"), qualified(Result("baseline/x", 0.1, 10), "test")
    ('test/vqa_accuracy', 'baseline/x')
    """
    return result.name if result.name.startswith(STANDALONE) else f"{split}/{result.name}"


def brief_names(evaluators: Iterable[Evaluator], names: Iterable[str], split: str) -> list[str]:
    """Those of `names` that go on the console's line of an epoch.

    Args:
        evaluators: Of the task.
        names: Full names of all figures.
        split: Such as `val`.

    >>> class Wordy:
    ...     splits, brief = ("val",), ("accuracy",)
    >>> brief_names([Wordy()], ["val/accuracy", "val/auroc", "val/loss", "val/x/class/1"], "val")
    ['val/accuracy', 'val/loss']
    """
    lists = [brief for e in evaluators if (brief := getattr(e, "brief", None)) is not None]
    wanted = {f"{split}/{name}" for brief in lists for name in (*brief, "loss")}
    return [
        name
        for name in names
        if name in wanted or (name.count("/") == 1 and not (lists and name.startswith(f"{split}/")))
    ]
