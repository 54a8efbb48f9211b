"""Checkpoint folders of sharded runs: a file a rank, what is not sharded in `meta.pt`, and `.complete` as the seal.

The folder is one of torch's distributed checkpoints (DCP). `.complete` has the size and SHA-256 of every file and is
written last; a folder without it, or with other files than it says, is not read.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mmdl.errors import UserError
from mmdl.runs.checkpoint_files import FIX, NOT_A_CHECKPOINT, NewerCheckpoint, checked, first_line
from mmdl.runs.dcp_reader import METADATA, Reader
from mmdl.runs.files import TEMPORARY, sha256, sync_folder, write_json

COMPLETE = ".complete"
META = "meta.pt"
FOLDER_KEY = "folder"
"""Key of an opened checkpoint: where its sharded tensors are."""

FORMAT = 1

Path_ = tuple[str | int, ...]
"""Keys from the top of a checkpoint to one of its tensors."""


class Meta(NamedTuple):
    """What `meta.pt` holds.

    Attributes:
        checkpoint: Lightning's checkpoint dict, None in place of each sharded tensor.
        shards: Where those are.
    """

    checkpoint: dict[str, Any]
    shards: list[Path_]


def key_of(path: Path_) -> str:
    """The name of a tensor in the folder.

    >>> key_of(("state_dict", "model.head.weight"))
    'state_dict/model.head.weight'
    """
    return "/".join(map(str, path))


def put(checkpoint: dict[str, Any], path: Path_, value: Any) -> None:
    """Put a tensor where it belongs in a checkpoint.

    >>> tree = {"optimizer_states": [{"state": {0: {"exp_avg": None}}}]}
    >>> put(tree, ("optimizer_states", 0, "state", 0, "exp_avg"), 1)
    >>> tree
    {'optimizer_states': [{'state': {0: {'exp_avg': 1}}}]}
    """
    node: Any = checkpoint
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value


def seal(folder: Path, files: dict[str, tuple[int, str]]) -> None:
    """Write `.complete`.

    Args:
        folder: With all its files.
        files: Name -> size in bytes and SHA-256.
    """
    listed = {name: {"bytes": size, "sha256": digest} for name, (size, digest) in sorted(files.items())}
    write_json(folder / COMPLETE, {"format": FORMAT, "files": listed})
    sync_folder(folder)


def verify_folder(folder: Path, hashes: bool = True) -> None:
    """Raise where a folder is not what was written.

    Args:
        folder: The checkpoint.
        hashes: Read all files and compare their SHA-256; else names and sizes only.

    Raises:
        UserError: it names the first file that is missing, cut or altered.
        NewerCheckpoint: the folder is of a newer mmdl.
    """
    for name, size, digest in _sealed(folder):
        path = folder / name
        try:
            found = path.stat().st_size
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            what = "is missing" if missing else f"can't be read: {error.strerror}"
            raise UserError(f"{folder} is damaged: {name} {what}", fix=FIX) from error
        if found != size:
            raise UserError(f"{folder} is damaged: {name} has {found:,} of {size:,} bytes", fix=FIX)
        if hashes and sha256(path) != digest:
            raise UserError(f"{folder} is damaged: the content of {name} does not match its SHA-256", fix=FIX)


def _sealed(folder: Path) -> list[tuple[str, int, str]]:
    """Name, size and SHA-256 of the files of a folder, as its seal says."""
    try:
        document = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
        version = int(document["format"])
        files = [
            (str(name), int(facts["bytes"]), str(facts["sha256"]))
            for name, facts in document["files"].items()
        ]
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no {COMPLETE}: it is foreign or was not finished", fix=FIX) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{folder} is damaged: {COMPLETE} is not what was written", fix=FIX) from error
    if version > FORMAT:
        raise NewerCheckpoint(folder, version)
    if any(Path(name).name != name for name, _, _ in files) or not {META, METADATA} <= {f[0] for f in files}:
        raise UserError(f"{folder} is damaged: {COMPLETE} does not list the files of a checkpoint", fix=FIX)
    return files


def read_meta(folder: Path) -> Meta:
    """What is not sharded, of a folder that was verified; plain values and tensors only.

    Raises:
        UserError: if it can't be read.
    """
    try:
        found = torch.load(folder / META, map_location="cpu", weights_only=True)
        meta = Meta(found["checkpoint"], [tuple(path) for path in found["shards"]])
    except OSError as error:
        raise UserError(f"{folder} is damaged: {META} can't be read: {error.strerror}", fix=FIX) from error
    except NOT_A_CHECKPOINT as error:
        raise UserError(f"{folder} is not a checkpoint: {META}: {first_line(error)}", fix=FIX) from error
    return Meta(checked(folder, meta.checkpoint), meta.shards)


def open_folder(folder: Path, verify: bool = True) -> dict[str, Any]:
    """A checkpoint whose sharded tensors are shapes only (on the `meta` device); `fill_folder` reads them.

    Args:
        folder: The checkpoint.
        verify: Read all files and compare their SHA-256.

    Returns:
        The checkpoint dict with the folder's name under `FOLDER_KEY`.

    Raises:
        UserError: see `verify_folder`.
    """
    verify_folder(folder, hashes=verify)
    checkpoint, shards = read_meta(folder)
    stored = Reader(folder).tensors()
    for path in shards:
        facts = stored[key_of(path)]
        put(checkpoint, path, torch.empty(facts.size, dtype=facts.properties.dtype, device="meta"))
    return {**checkpoint, FOLDER_KEY: str(folder)}


def fill_folder(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint dict that an unsharded run would have written, in this process, on the CPU.

    Args:
        checkpoint: From `open_folder`.
    """
    folder = Path(checkpoint.pop(FOLDER_KEY))
    _, shards = read_meta(folder)
    reader = Reader(folder)
    tensors = reader.empty([key_of(path) for path in shards])
    reader.fill(tensors)
    for path in shards:
        put(checkpoint, path, tensors[key_of(path)])
    return checkpoint


def folder_digest(folder: Path) -> str:
    """One SHA-256 for all files of a folder: that of its seal."""
    return sha256(folder / COMPLETE)


def remove_folder(folder: Path) -> None:
    """Remove a folder; a half-removed one has another name, and no seal."""
    doomed = (
        folder if folder.name.startswith(TEMPORARY) else folder.with_name(f"{TEMPORARY}{folder.name}.old")
    )
    if doomed != folder:
        shutil.rmtree(doomed, ignore_errors=True)
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
