"""Reads checkpoints, verified by the SHA-256 beside them; without Lightning, whose import takes seconds."""

from __future__ import annotations

import logging
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from mmdl.errors import UserError
from mmdl.runs.files import TEMPORARY, sha256, writing

log = logging.getLogger("mmdl")

MMDL_KEY = "mmdl"
"""Key of a checkpoint under which mmdl keeps its configuration and vocabularies."""

FORMAT = 1
"""Version of what mmdl keeps in a checkpoint, under `format` of `MMDL_KEY`; without one it is 1."""

FIX = "resume=RUN or run=RUN chooses the newest valid checkpoint by itself"


class NewerCheckpoint(UserError):
    """A checkpoint of a newer mmdl: it is not passed over, since going on from an older one would undo its steps.

    Args:
        path: The file.
        version: Its format.
    """

    def __init__(self, path: Path, version: Any) -> None:
        super().__init__(
            f"{path} was written by a newer mmdl: its format is {version}",
            valid=f"format {FORMAT} and older",
            fix="upgrade mmdl: pip install --upgrade mmdl",
        )


def checksum_file(path: Path) -> Path:
    """Where the SHA-256 of a checkpoint stands."""
    return path.with_name(path.name + ".sha256")


def recorded_digests(path: Path) -> list[str]:
    """The SHA-256 of a checkpoint as recorded beside it; two while one takes the place of another.

    Args:
        path: The checkpoint.
    """
    try:
        lines = checksum_file(path).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line.split()[0] for line in lines if line.strip()]


def recorded_identity(path: Path) -> str:
    """The SHA-256 that stands for the content of a checkpoint, file or folder; empty where none is recorded."""
    if path.is_dir():
        from mmdl.runs.checkpoint_folders import COMPLETE, folder_digest

        return folder_digest(path) if (path / COMPLETE).is_file() else ""
    return next(iter(recorded_digests(path)), "")


def step_of(path: Path) -> int:
    """The optimizer step in the name of a checkpoint, -1 without one.

    >>> step_of(Path("last-step=00000120.ckpt"))
    120
    """
    found = re.search(r"step=(\d+)", path.name)
    return int(found.group(1)) if found else -1


def read_checkpoint(path: Path, verify: bool = True) -> dict[str, Any]:
    """Load a checkpoint of mmdl after verifying it; tensors and plain values only.

    Args:
        path: The file, or the folder of a sharded run.
        verify: Compare its SHA-256; False where another rank has done so.

    Returns:
        Lightning's checkpoint dict, on the CPU.

    Raises:
        UserError: if it is missing, torn, altered, or not a checkpoint of mmdl.
        NewerCheckpoint: if it is of a newer mmdl.
    """
    path = Path(path)
    if path.is_dir():
        from mmdl.runs.checkpoint_folders import fill_folder, open_folder

        return fill_folder(open_folder(path, verify))
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}", fix="python -m mmdl ls")
    try:
        if verify:
            _verify(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror or error}", fix=FIX) from error
    except NOT_A_CHECKPOINT as error:
        raise UserError(f"{path} is not a checkpoint: {first_line(error)}", fix=FIX) from error
    return checked(path, checkpoint)


def checked(path: Path, checkpoint: Any) -> dict[str, Any]:
    """What was loaded from a checkpoint, if mmdl wrote it.

    Args:
        path: Of the checkpoint.
        checkpoint: Its content.

    Raises:
        UserError: if it is something else.
        NewerCheckpoint: if it is of a newer mmdl.
    """
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(MMDL_KEY), dict):
        raise UserError(f"{path} was not written by mmdl", valid="a checkpoint of a run folder", fix=FIX)
    version = checkpoint[MMDL_KEY].get("format", FORMAT)
    if not isinstance(version, int) or version > FORMAT:
        raise NewerCheckpoint(path, version)
    return checkpoint


NOT_A_CHECKPOINT = (
    *(RuntimeError, pickle.UnpicklingError, EOFError, zipfile.BadZipFile),
    *(LookupError, TypeError, ValueError, AttributeError, AssertionError, OverflowError, MemoryError),
)
"""What torch raises for content that is no checkpoint; `weights_only` runs none of it."""


def _verify(path: Path) -> None:
    recorded = recorded_digests(path)
    if not recorded:
        name = checksum_file(path).name
        raise UserError(f"{path} has no {name} beside it: it is foreign or was not finished", fix=FIX)
    if sha256(path) not in recorded:
        raise UserError(f"{path} is damaged: its content does not match its SHA-256", fix=FIX)


def first_line(error: BaseException) -> str:
    """What an error says, in a line."""
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def open_checkpoint(path: Path, verify: bool = True) -> dict[str, Any]:
    """As `read_checkpoint`, without reading tensors that can stay on disk until they are needed: those of a folder."""
    if path.is_dir():
        from mmdl.runs.checkpoint_folders import open_folder

        return open_folder(path, verify)
    return read_checkpoint(path, verify)


def newest_checkpoint(
    folder: Path,
    pattern: str = "last-*.ckpt",
    read: Callable[[Path], dict[str, Any]] = open_checkpoint,
) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that verifies, loaded; damaged ones are passed over with a warning.

    Args:
        folder: A run's checkpoints.
        pattern: Which of them.
        read: Verifies and loads one.

    Returns:
        Its path and content; None where there is no file of that pattern.

    Raises:
        UserError: if there are some and none is valid, or the newest is of a newer mmdl.
    """
    return first_valid(sorted(folder.glob(pattern), key=step_of, reverse=True), read)


def first_valid(
    paths: Sequence[Path], read: Callable[[Path], dict[str, Any]] = open_checkpoint
) -> tuple[Path, dict[str, Any]] | None:
    """The first checkpoint that verifies, loaded; those before it are passed over with a warning.

    Args:
        paths: Checkpoints of one folder.
        read: Verifies and loads one.

    Returns:
        Its path and content; None without paths.

    Raises:
        UserError: if none is valid, or the first is of a newer mmdl.
    """
    damaged: list[str] = []
    for path in paths:
        try:
            checkpoint = read(path)
        except NewerCheckpoint:
            raise
        except UserError as error:
            damaged.append(error.given)
            continue
        for reason in damaged:
            log.warning("%s; %s is used instead", reason, path.name)
        return path, checkpoint
    if not damaged:
        return None
    folder = paths[0].parent
    raise UserError(
        "\n  ".join([f"no checkpoint in {folder} is valid:", *damaged]),
        valid="a copy of one of these files and its .sha256, from a backup",
        fix=f"put it there and resume; or begin anew, with another run.id or after rm -r {folder}",
    )


def newest_valid(folder: Path, pattern: str = "last-*.ckpt") -> Path | None:
    """The path of `newest_checkpoint`; None where there is no file of that pattern."""
    found = newest_checkpoint(folder, pattern)
    return None if found is None else found[0]


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint and its checksum.

    Raises:
        WriteError: if the folder can't be written.
    """
    with writing(path):
        if path.is_dir():
            from mmdl.runs.checkpoint_folders import remove_folder

            remove_folder(path)
        else:
            path.unlink(missing_ok=True)
        checksum_file(path).unlink(missing_ok=True)


def clean_checkpoints(folder: Path) -> None:
    """Remove unfinished files and checksums without a checkpoint."""
    for stale in folder.glob(f"{TEMPORARY}*"):
        if stale.is_dir():
            shutil.rmtree(stale, ignore_errors=True)
        else:
            stale.unlink(missing_ok=True)
    for recorded in folder.glob("*.sha256"):
        if not recorded.with_suffix("").exists():
            recorded.unlink(missing_ok=True)
