"""Loads a finished run: its configuration, its weights and its vocabularies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from mmdl.errors import UserError
from mmdl.runs.checkpoint_files import MMDL_KEY, newest_checkpoint, read_checkpoint
from mmdl.runs.folder import RunFolder, find_run
from mmdl.runs.same_model import check_same_model


class LoadedRun(NamedTuple):
    """A run as it was saved.

    Attributes:
        run: Its folder.
        config: Its configuration, as plain data.
        checkpoint: Lightning's checkpoint dict with mmdl's own part.
        path: The checkpoint file.
    """

    run: RunFolder
    config: DictConfig
    checkpoint: dict[str, Any]
    path: Path

    @property
    def vocabularies(self) -> dict[str, Any]:
        """Answer list and tokenizer with their hashes."""
        found: dict[str, Any] = self.checkpoint[MMDL_KEY]["vocabularies"]
        return found

    @property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of the splits and vocabularies that the run was made with."""
        found: dict[str, str] = self.checkpoint[MMDL_KEY]["fingerprints"]
        return found


def load_run(root: Path, wanted: str, weights: str = "best") -> LoadedRun:
    """Load a run.

    Args:
        root: Folder of all runs.
        wanted: A run id, a run folder, or `latest`.
        weights: `best`, `last`, or a checkpoint file or folder.

    Raises:
        UserError: if there is no such run, or it has no valid checkpoint.
    """
    run = find_run(root, wanted)
    path, checkpoint = find_checkpoint(run, weights)
    config = OmegaConf.create(checkpoint[MMDL_KEY]["config"])
    OmegaConf.set_struct(config, False)
    return LoadedRun(run, config, checkpoint, path)


def find_checkpoint(
    run: RunFolder, weights: str, read: Callable[[Path], dict[str, Any]] = read_checkpoint
) -> tuple[Path, dict[str, Any]]:
    """The checkpoint of a run that is asked for, and its content.

    Args:
        run: Its folder.
        weights: `best`, `last`, or a checkpoint file or folder.
        read: Verifies and loads one.

    Raises:
        UserError: if it has no valid one.
    """
    if weights == "best":
        found = _best(run, read)
    elif weights == "last":
        found = newest_checkpoint(run.checkpoints, read=read)
    else:
        path = Path(weights).expanduser()
        if not path.exists():
            raise UserError(
                f"there is no checkpoint {weights!r}",
                valid="best, last, or a .ckpt file: " + _names(run),
                fix="weights=best",
            )
        found = path, read(path)
    if found is None:
        raise UserError(
            f"the run {run.id!r} has no valid checkpoint in {run.checkpoints}",
            valid="a run that saved one",
            fix=f"python -m mmdl train resume={run.id}",
        )
    return found


def _names(run: RunFolder) -> str:
    return ", ".join(path.name for path in sorted(run.checkpoints.glob("*.ckpt")))


def _best(run: RunFolder, read: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]] | None:
    """The best checkpoint that the newest valid one names; without one, that itself."""
    last = newest_checkpoint(run.checkpoints)
    if last is None:
        return newest_checkpoint(run.checkpoints, "best-*.ckpt", read)
    for state in last[1]["callbacks"].values():
        if isinstance(state, dict) and state.get("best_name"):
            path = run.checkpoints / str(state["best_name"])
            try:
                return path, read(path)
            except UserError as error:
                # Figures of other weights than were asked for would pass for the best.
                raise UserError(
                    error.given,
                    valid=f"best, last, or a .ckpt file: {_names(run)}",
                    fix=f"run={run.id} weights=last",
                ) from error
    return (last[0], read(last[0])) if last[0].is_dir() else last


def load_weights(task: Any, loaded: LoadedRun) -> None:
    """Put a checkpoint's weights into a task.

    Raises:
        UserError: if they are of another model: what is missing, what is left over, which shapes differ.
    """
    given = loaded.checkpoint["state_dict"]
    check_same_model(task.state_dict(), given, loaded.path, f"run={loaded.run.id} weights=best")
    task.load_state_dict(given)
