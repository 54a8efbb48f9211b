"""Checkpoints that are whole or absent: written beside their SHA-256, verified on load, the newest valid one wins."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.fabric.plugins import CheckpointIO

from mmdl.runs.checkpoint_files import (
    MMDL_KEY,
    checksum_file,
    clean_checkpoints,
    newest_valid,
    read_checkpoint,
    recorded_digests,
    remove_checkpoint,
    step_of,
)
from mmdl.runs.files import WriteError, atomic_write, write_text

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

    def __init__(self) -> None:
        self.verified: tuple[Path, dict[str, Any] | None] | None = None
        """A checkpoint that was verified, and its content where this rank has it, for the next `load_checkpoint`."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write the checksum, then rename the checkpoint into place.

        While a checkpoint takes the place of an older one of its name, the checksum file holds both digests, so that
        there is a valid checkpoint at every moment.

        Raises:
            WriteError: if it can't be written; the previous checkpoints stay as they were.
        """
        target = Path(path)
        recorded = checksum_file(target)
        if not target.parent.is_dir():
            raise WriteError(target, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        if target.is_dir():  # the same step, saved by a sharded run
            remove_checkpoint(target)
        before = recorded_digests(target) if target.exists() else []
        line = ""

        def write(handle: BinaryIO) -> None:
            nonlocal line
            digest = _save(checkpoint, handle)
            line = f"{digest}  {target.name}\n"
            write_text(recorded, line + "".join(f"{old}  {target.name}\n" for old in before))

        try:
            atomic_write(target, write, need=_size_of(checkpoint))
            if before:
                write_text(recorded, line)
        except WriteError as error:
            with suppress(OSError):
                clean_checkpoints(target.parent)
            if error.no_room:
                error.valid = _room_taken(target.parent)
            raise

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Verify, unless that was done, and load; `weights_only` is always on."""
        verified, self.verified = self.verified, None
        if verified is None or verified[0] != Path(path):
            return read_checkpoint(Path(path))
        return verified[1] or read_checkpoint(Path(path), verify=False)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint and its checksum."""
        remove_checkpoint(Path(path))


class _Hashing:
    """A file that hashes what is written to it: a checkpoint is not read back."""

    def __init__(self, handle: BinaryIO) -> None:
        self.handle = handle
        self.name = handle.name
        self.sha256 = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, content: Any) -> int:
        try:
            self.handle.write(content)
        except OSError as error:
            self.error = error
            raise
        self.sha256.update(content)
        return len(content)

    def flush(self) -> None:
        self.handle.flush()


def _save(checkpoint: dict[str, Any], handle: BinaryIO) -> str:
    """Write a checkpoint; returns its SHA-256. torch's writer never goes back in the file."""
    target: Any = _Hashing(handle)
    try:
        torch.save(checkpoint, target)
    except RuntimeError as error:
        # torch turns what the file raised into a RuntimeError of its own.
        if target.error is not None:
            raise target.error from error
        raise
    digest: str = target.sha256.hexdigest()
    return digest


def _size_of(checkpoint: Any) -> int:
    """About how many bytes a checkpoint takes: its storages, each once, and a little for what lies around them."""
    seen: set[int] = set()
    total = 4096
    waiting = [checkpoint]
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            if storage.data_ptr() not in seen:
                seen.add(storage.data_ptr())
                total += storage.nbytes() + 256
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += value
        else:
            total += len(value) if isinstance(value, str | bytes) else 4
    return total


def _room_taken(folder: Path) -> str:
    sizes = [path.stat().st_size for path in folder.glob("*.ckpt") if path.is_file()]
    if not sizes:
        return ""
    return (
        f"the run's {len(sizes)} checkpoints take {sum(sizes) / 1e6:.1f} MB: room for one more is needed, since the "
        "last 2 are always kept (callbacks.checkpoints.keep)"
    )
