"""Checkpoints that are whole or absent: written beside their SHA-256, verified on load, the newest valid one wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from mmdl.runs.checkpoint_files import (
    MMDL_KEY,
    checksum_file,
    clean_checkpoints,
    newest_valid,
    read_checkpoint,
    remove_checkpoint,
    step_of,
)
from mmdl.runs.files import atomic_write, sha256, write_text

__all__ = [
    "MMDL_KEY",
    "AtomicCheckpointIO",
    "checksum_file",
    "clean_checkpoints",
    "newest_valid",
    "read_checkpoint",
    "remove_checkpoint",
    "step_of",
]


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's way of writing and reading checkpoints, done as this module says.

    Lightning's own is atomic only where `$TMPDIR` is on the same file system, and a full disk there has destroyed the
    previous file (pytorch-lightning #21253).
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write the checksum, then rename the checkpoint into place."""
        target = Path(path)
        recorded = checksum_file(target)

        def write(handle: Any) -> None:
            torch.save(checkpoint, handle)
            handle.flush()
            digest = sha256(Path(handle.name))
            write_text(recorded, f"{digest}  {target.name}\n")

        target.unlink(missing_ok=True)
        atomic_write(target, write)

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Verify and load; `weights_only` is always on."""
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint and its checksum."""
        remove_checkpoint(Path(path))
