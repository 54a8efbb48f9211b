"""Writes and reads checkpoint folders, all ranks together: each its own shards."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from mmdl.errors import UserError
from mmdl.runs.checkpoint_files import checksum_file, read_checkpoint
from mmdl.runs.checkpoint_folders import (
    META,
    Path_,
    key_of,
    put,
    read_meta,
    remove_folder,
    seal,
    verify_folder,
)
from mmdl.runs.dcp_reader import METADATA, Reader
from mmdl.runs.files import TEMPORARY, WriteError, free_bytes, sha256, sync_folder


def save_sharded(checkpoint: dict[str, Any], target: Path) -> None:
    """Write a folder beside its place, seal it, and rename it into place; all ranks call it together.

    Args:
        checkpoint: Lightning's; every sharded tensor (`DTensor`) in it is written by the ranks that hold it, everything
            else as rank 0 has it.
        target: Where the folder is to be.

    Raises:
        WriteError: on rank 0, if a rank could not write; the others return. What was at `target` is as it was.
    """
    shards: dict[Path_, DTensor] = {}
    rest = take_shards(checkpoint, shards)
    temporary = target.with_name(f"{TEMPORARY}{target.name}")
    need = sum(value.numel() * value.element_size() for value in shards.values())

    def begin() -> None:
        if not target.parent.is_dir():
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        free = free_bytes(target.parent)
        if free is not None and free < need:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        document = {"checkpoint": rest, "shards": [list(path) for path in shards]}
        with (temporary / META).open("wb") as handle:
            torch.save(document, handle)
            handle.flush()
            os.fsync(handle.fileno())

    def write() -> dict[str, tuple[int, str]]:
        save(
            {key_of(path): value for path, value in shards.items()},
            storage_writer=FileSystemWriter(temporary),
        )
        found: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(found, _own_files(temporary))
        return {name: facts for part in found for name, facts in part.items()}

    def end() -> None:
        seal(temporary, files)
        _replace(target, temporary)

    try:
        _together(begin)
        files = write()
        _together(end)
    except (CheckpointException, _Failed) as error:
        if torch.distributed.get_rank() == 0:
            shutil.rmtree(temporary, ignore_errors=True)
            raise WriteError(target, _cause(error), need) from error


def load_sharded(source: Path, task: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, Any]:
    """Read a checkpoint of any number of ranks into shards of this rank.

    Args:
        source: Folder, of which names and sizes are verified; or the file of an unsharded run.
        task: Sharded; its state says which tensors are shards, and of what.
        optimizers: Of the task; without them their states are left out.

    Returns:
        Lightning's checkpoint dict.

    Raises:
        UserError: if it can't be read.
    """
    if source.is_file():
        return shards_of(read_checkpoint(source), task, optimizers)
    like = _Likeness(task, optimizers)
    verify_folder(source, hashes=False)
    checkpoint, paths = read_meta(source)
    if not optimizers:
        paths = [path for path in paths if path[0] != "optimizer_states"]
    reader = Reader(source)
    stored = reader.tensors()
    targets: dict[str, Tensor] = {}
    for path in paths:
        facts = stored[key_of(path)]
        shard_of = like.of(path, facts.size)
        targets[key_of(path)] = (
            torch.empty(facts.size, dtype=facts.properties.dtype)
            if shard_of is None
            else torch.zeros_like(shard_of, dtype=facts.properties.dtype)
        )
        put(checkpoint, path, targets[key_of(path)])
    reader.fill(targets)
    return checkpoint


def shards_of(
    checkpoint: Mapping[str, Any], task: nn.Module, optimizers: Sequence[Optimizer]
) -> dict[str, Any]:
    """The checkpoint of an unsharded run with this rank's shards in place of the tensors that are sharded here.

    Args:
        checkpoint: The same on every rank.
        task: Sharded.
        optimizers: Of the task, or none.
    """
    found = take_shards(checkpoint, {})  # a copy
    like = _Likeness(task, optimizers)
    for path, value in _tensors(checkpoint):
        if (model := like.of(path, value.shape)) is not None:
            whole = value.to(model.device_mesh.device_type)
            put(
                found, path, distribute_tensor(whole, model.device_mesh, model.placements, src_data_rank=None)
            )
    return found


def take_shards(node: Any, shards: dict[Path_, DTensor], path: Path_ = ()) -> Any:
    """A copy of a tree with None in place of its sharded tensors.

    Args:
        node: Of dicts, lists and anything else.
        shards: Gets the tensors, by their paths.
        path: Of `node`.
    """
    if isinstance(node, DTensor):
        detached: Any = node.detach()
        shards[path] = detached
        return None
    if isinstance(node, dict):
        return {key: take_shards(value, shards, (*path, key)) for key, value in node.items()}
    if type(node) in (list, tuple):
        return type(node)(take_shards(value, shards, (*path, n)) for n, value in enumerate(node))
    return node


class _Likeness:
    """Which parameter a tensor of a checkpoint belongs to, by its path."""

    def __init__(self, task: nn.Module, optimizers: Sequence[Optimizer]) -> None:
        self.state = task.state_dict()
        self.parameters = [
            [p for group in optimizer.param_groups for p in group["params"]] for optimizer in optimizers
        ]

    def of(self, path: Path_, shape: Sequence[int]) -> DTensor | None:
        """The sharded parameter of the same shape; None where there is none, as for a step count."""
        if path[0] == "state_dict":
            found = self.state.get(str(path[1]))
        elif path[0] == "optimizer_states" and len(path) == 5 and path[2] == "state" and self.parameters:
            own = self.parameters[int(path[1])]
            found = own[int(path[3])] if int(path[3]) < len(own) else None
        else:
            return None
        return found if isinstance(found, DTensor) and tuple(found.shape) == tuple(shape) else None


def _tensors(node: Any, path: Path_ = ()) -> list[tuple[Path_, Tensor]]:
    if isinstance(node, Tensor):
        return [(path, node)]
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, value in items for found in _tensors(value, (*path, key))]


class _Failed(Exception):
    """Rank 0 could not do its part."""

    def __init__(self, number: int, text: str) -> None:
        self.number, self.text = number, text
        super().__init__(text)


def _together(work: Callable[[], None]) -> None:
    """Do something on rank 0 while the others wait; all of them learn whether it failed."""
    told: list[tuple[int, str] | None] = [None]
    if torch.distributed.get_rank() == 0:
        try:
            work()
        except (OSError, UserError, RuntimeError) as error:
            first = error.__cause__ if isinstance(error, UserError) and error.__cause__ else error
            told = [(getattr(first, "errno", None) or 0, str(first))]
    torch.distributed.broadcast_object_list(told, src=0)
    if told[0] is not None:
        raise _Failed(*told[0])


def _own_files(folder: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of the files that this rank wrote."""
    rank = torch.distributed.get_rank()
    own = [*folder.glob(f"__{rank}_*"), *((folder / META, folder / METADATA) if rank == 0 else ())]
    return {path.name: (path.stat().st_size, sha256(path)) for path in own}


def _replace(target: Path, new: Path) -> None:
    """Put the folder into its place, in which an earlier save of the same step may be."""
    old = target.with_name(f"{TEMPORARY}{target.name}.old")
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
    new.rename(target)
    sync_folder(target.parent)
    if old.is_dir():
        remove_folder(old)
    old.unlink(missing_ok=True)
    checksum_file(target).unlink(missing_ok=True)  # of a file of the same name


def _cause(error: BaseException) -> OSError:
    """What went wrong first, as the system's error."""
    if isinstance(error, _Failed):
        return OSError(error.number, error.text)
    assert isinstance(error, CheckpointException)
    rank, (first, _) = min(error.failures.items())
    number = getattr(first, "errno", None) or 0
    text = str(first).splitlines()[0] if str(first) else type(first).__name__
    return OSError(number, f"rank {rank}: {text}")
