"""What the evaluators of a run have to say and to write beside their figures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmdl.data.base import DataModule
    from mmdl.evaluators.base import Artifact
    from mmdl.tasks.base import Task


def tuned_on_validation(task: Task, data: DataModule) -> bool:
    """Whether an evaluator chooses something on validation that it applies to test."""
    return any(e.tunes(data) for e in task.evaluators.values() if hasattr(e, "tunes"))


def check_evaluators(evaluators: Iterable[Any], data: DataModule) -> None:
    """Let the evaluators refuse settings that don't fit the data.

    Raises:
        UserError: the first one.
    """
    for evaluator in evaluators:
        if hasattr(evaluator, "check"):
            evaluator.check(data)


def write_evaluation(task: Task, folder: Path) -> list[Artifact]:
    """Write the files of the last evaluation; call it on one rank.

    Args:
        task: Has been evaluated.
        folder: Where; made only if something is written.
    """
    context = task.context
    written: list[Artifact] = []
    if context is None:
        return written
    for evaluator in task.evaluators.values():
        if context.split in evaluator.splits and hasattr(evaluator, "write"):
            written += evaluator.write(context, folder)
    return written


def write_baselines(task: Task, folder: Path, name: str) -> None:
    """Write what baselines predict of each item, as `<name>_baseline_<its name>.jsonl`; call it on one rank.

    Args:
        task: Has been evaluated.
        folder: Of the predictions.
        name: Of the run's own predictions.
    """
    from mmdl.runs.item_files import write_items

    context = task.context
    for evaluator in task.evaluators.values():
        if context is None or context.split not in evaluator.splits or not hasattr(evaluator, "baselines"):
            continue
        for label, (kind, metric, records, _) in evaluator.baselines(context):
            path = folder / f"{name}_baseline_{label}.jsonl"
            write_items(path, records, kind=kind, split=context.split, metric=metric, baseline=label)


def named(written: Iterable[Artifact], suffix: str, prefix: str) -> dict[str, Artifact]:
    """The files of one kind under the names that trackers give them.

    >>> from mmdl.evaluators.base import Artifact
    >>> named([Artifact(Path("roc.png"), ""), Artifact(Path("roc.csv"), "")], ".csv", "test_tables")
    {'test_tables/roc': Artifact(path=...Path('roc.csv'), caption='')}
    """
    return {f"{prefix}/{a.path.stem}": a for a in written if a.path.suffix == suffix}


def evaluation_lines(task: Task, kind: str) -> list[str]:
    """The evaluators' lines beside the figures of the last evaluation.

    Args:
        task: Has been evaluated.
        kind: `notes`, for the card and `mmdl eval`, or `table`, for `mmdl eval` only.
    """
    context = task.context
    lines: list[str] = []
    if context is None:
        return lines
    for evaluator in task.evaluators.values():
        if context.split in evaluator.splits and hasattr(evaluator, kind):
            lines += getattr(evaluator, kind)(context)
    return lines


def headlines(task: Task, split: str) -> list[str]:
    """Full names of the figures that stand on the card of a run."""
    return [
        f"{split}/{name}"
        for evaluator in task.evaluators.values()
        if split in evaluator.splits
        for name in getattr(evaluator, "headline", ())
    ]
