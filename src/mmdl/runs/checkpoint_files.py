"""Reads checkpoints, verified by the SHA-256 beside them; without Lightning, whose import takes seconds."""

from __future__ import annotations

import logging
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from mmdl.errors import UserError
from mmdl.runs.files import TEMPORARY, sha256

log = logging.getLogger("mmdl")

MMDL_KEY = "mmdl"
"""Key of a checkpoint under which mmdl keeps its configuration and vocabularies."""


def checksum_file(path: Path) -> Path:
    """Where the SHA-256 of a checkpoint stands."""
    return path.with_name(path.name + ".sha256")


def step_of(path: Path) -> int:
    """The optimizer step in the name of a checkpoint, -1 without one.

    >>> step_of(Path("last-step=00000120.ckpt"))
    120
    """
    found = re.search(r"step=(\d+)", path.name)
    return int(found.group(1)) if found else -1


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint of mmdl after verifying it; tensors and plain values only.

    Args:
        path: The file.

    Returns:
        Lightning's checkpoint dict, on the CPU.

    Raises:
        UserError: if it is missing, torn, altered, or not a checkpoint of mmdl.
    """
    path = Path(path)
    fix = "resume=RUN or run=RUN chooses the newest valid checkpoint by itself"
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}", fix="python -m mmdl ls")
    recorded = checksum_file(path)
    if not recorded.is_file():
        raise UserError(
            f"{path} has no {recorded.name} beside it: it is foreign or was not finished", fix=fix
        )
    if sha256(path) != recorded.read_text().split()[0]:
        raise UserError(f"{path} is damaged: its content does not match its SHA-256", fix=fix)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        zipfile.BadZipFile,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise UserError(f"{path} is not a checkpoint: {str(error).splitlines()[0]}", fix=fix) from error
    if not isinstance(checkpoint, dict) or MMDL_KEY not in checkpoint:
        raise UserError(f"{path} was not written by mmdl", valid="a checkpoint of a run folder", fix=fix)
    return checkpoint


def newest_valid(folder: Path, pattern: str = "last-*.ckpt") -> Path | None:
    """The newest checkpoint that verifies; damaged ones are passed over with a warning.

    Args:
        folder: A run's checkpoints.
        pattern: Which of them.
    """
    for path in sorted(folder.glob(pattern), key=step_of, reverse=True):
        try:
            read_checkpoint(path)
        except UserError as error:
            log.warning("%s; an older checkpoint is used", error.given)
            continue
        return path
    return None


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint and its checksum."""
    path.unlink(missing_ok=True)
    checksum_file(path).unlink(missing_ok=True)


def clean_checkpoints(folder: Path) -> None:
    """Remove unfinished files and checksums without a checkpoint."""
    for stale in folder.glob(f"{TEMPORARY}*"):
        stale.unlink(missing_ok=True)
    for recorded in folder.glob("*.sha256"):
        if not recorded.with_suffix("").exists():
            recorded.unlink()
