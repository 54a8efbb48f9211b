"""Which checkpoint a run continues from, and which weights it ends with: chosen by rank 0 for all ranks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mmdl.errors import UserError
from mmdl.runs.agreement import agree
from mmdl.runs.checkpoint_files import (
    first_valid,
    log,
    newest_checkpoint,
    open_checkpoint,
    step_of,
)
from mmdl.runs.same_model import check_same_model

if TYPE_CHECKING:
    import lightning.pytorch as pl


def resume_point(trainer: pl.Trainer, task: pl.LightningModule, folder: Path) -> Path | None:
    """The newest valid checkpoint, of the last or else of the best; all ranks call this before `fit` and get the same.

    Rank 0 verifies it, and hands the content to the trainer's `AtomicCheckpointIO`, which doesn't read it again.

    Args:
        trainer: Of the run.
        task: What it trains.
        folder: The run's checkpoints.

    Returns:
        None where the run had saved nothing.

    Raises:
        UserError: if there are checkpoints and none is valid, or it is of another model or of a newer mmdl.
    """

    def decide() -> str | None:
        last, best = (
            sorted(folder.glob(f"{kind}-*.ckpt"), key=step_of, reverse=True) for kind in ("last", "best")
        )
        found = first_valid([*last, *best])
        if found is None:
            return None
        path, checkpoint = found
        fix = "take back the change of the model (allow_changes), or begin a new run"
        check_same_model(task.state_dict(), checkpoint["state_dict"], path, fix)
        _hand_over(trainer, path, None if path.is_dir() else checkpoint)
        return path.name

    name = agree(trainer, task, decide)
    if name is None:
        return None
    if not trainer.is_global_zero:
        _hand_over(trainer, folder / name, None)
    return folder / name


def _hand_over(trainer: pl.Trainer, path: Path, checkpoint: dict[str, Any] | None) -> None:
    """Have the trainer's input and output use a checkpoint that is verified, and perhaps loaded."""
    from mmdl.runs.checkpoint_io import AtomicCheckpointIO

    reader = trainer.strategy.checkpoint_io
    if isinstance(reader, AtomicCheckpointIO):
        reader.verified = (path, checkpoint)


class Ending(NamedTuple):
    """Weights that a training has ended with, of sharded runs on disk (see `open_checkpoint`).

    Attributes:
        final: Checkpoint of the last step.
        best: Checkpoint of the best validation, or `final` without one.
        is_best: Whether `best` is the one that was asked for.
    """

    final: dict[str, Any]
    best: dict[str, Any]
    is_best: bool


def ending(trainer: pl.Trainer, task: pl.LightningModule, folder: Path, best_name: str) -> Ending:
    """The last and the best checkpoint, verified by rank 0; all ranks call this after `fit` and get the same.

    A best checkpoint that is damaged or gone is replaced by the one that was best before it, with a warning; without
    one, by the last.

    Args:
        trainer: Of the run, at its last step.
        task: What it trained.
        folder: The run's checkpoints.
        best_name: File name of the best checkpoint; empty takes the last.

    Raises:
        UserError: if the checkpoint of the last step is damaged.
    """
    loaded: dict[str, dict[str, Any]] = {}

    def decide() -> str:
        found = newest_checkpoint(folder)
        if found is None or step_of(found[0]) != trainer.global_step:
            before = f"it goes on from step {step_of(found[0])}" if found else "it begins anew"
            raise UserError(
                f"the checkpoint of the last step, {trainer.global_step}, is damaged or gone from {folder}",
                fix=f"resume the run: {before}",
            )
        last, loaded[found[0].name] = found
        best = _best(folder, best_name, loaded) if best_name else last.name
        return f"{last.name}/{best or last.name}"

    last, _, best = str(agree(trainer, task, decide)).partition("/")
    for name in {last, best} - loaded.keys():
        loaded[name] = open_checkpoint(folder / name, verify=False)
    return Ending(loaded[last], loaded[best], best == (best_name or last))


def _best(folder: Path, best_name: str, loaded: dict[str, dict[str, Any]]) -> str | None:
    """The best checkpoint that is valid, which goes into `loaded`."""
    older = [path for path in folder.glob("best-*.ckpt") if step_of(path) < step_of(Path(best_name))]
    failed = ""
    for path in (folder / best_name, *sorted(older, key=step_of, reverse=True)):
        try:
            loaded[path.name] = open_checkpoint(path)
        except UserError as error:
            failed = failed or error.given
            continue
        if failed:
            log.warning("%s; the best weights before it are used: %s", failed, path.name)
        return path.name
    log.warning("%s; the last weights are used in place of the best", failed)
    return None
