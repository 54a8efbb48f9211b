"""Reads torch's distributed checkpoints without executing anything that they hold."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta, TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load

from mmdl.errors import UserError
from mmdl.runs.checkpoint_files import FIX

METADATA = ".metadata"

# What torch pickles into `.metadata`: dataclasses of plain values.
_ALLOWED = {
    "torch.distributed.checkpoint.metadata": {
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch": {"Size"},
    "torch.serialization": {"_get_layout"},
    "pathlib": {"PosixPath", "WindowsPath", "PurePosixPath"},
    "collections": {"OrderedDict"},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Only what torch writes; a pickle can name any function of any module."""
        if name in _ALLOWED.get(module, ()):
            return super().find_class(module, name)
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a checkpoint")


class Reader(FileSystemReader):
    """torch's reader, with `.metadata` unpickled by a list of names and kept.

    Args:
        folder: The checkpoint.

    Raises:
        UserError: `.metadata` can't be read, or names something else.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.metadata = _read_metadata(folder)

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The one that was read already."""
        if self.metadata.storage_meta is None:
            self.metadata.storage_meta = StorageMeta()
        self.metadata.storage_meta.load_id = self.load_id
        return self.metadata

    def tensors(self) -> dict[str, TensorStorageMetadata]:
        """Size and dtype of each tensor by name."""
        return {
            name: found
            for name, found in self.metadata.state_dict_metadata.items()
            if isinstance(found, TensorStorageMetadata)
        }

    def empty(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Whole tensors on the CPU to read into.

        Raises:
            UserError: a name is not there.
        """
        known = self.tensors()
        if missing := [name for name in names if name not in known]:
            raise UserError(f"{self.path} has no tensor {missing[0]}", fix=FIX)
        return {name: torch.empty(known[name].size, dtype=known[name].properties.dtype) for name in names}

    def fill(self, targets: Mapping[str, Tensor]) -> None:
        """Read into tensors, of which sharded ones take their part; no other rank is needed.

        Args:
            targets: Name -> tensor of the stored size.
        """
        if targets:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that no other process takes part is meant
                load(dict(targets), storage_reader=self, no_dist=True)


def _read_metadata(folder: Path) -> Metadata:
    try:
        with (folder / METADATA).open("rb") as handle:
            found = _Unpickler(handle).load()
    except (
        OSError,
        pickle.UnpicklingError,
        EOFError,
        LookupError,
        AttributeError,
        TypeError,
        ValueError,
    ) as error:
        raise UserError(f"{folder} is not a checkpoint: {METADATA}: {error}", fix=FIX) from error
    if not isinstance(found, Metadata):
        raise UserError(f"{folder} is not a checkpoint: {METADATA} holds a {type(found).__name__}", fix=FIX)
    return found
