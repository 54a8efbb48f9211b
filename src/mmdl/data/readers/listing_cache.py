"""Keeps the listing of a large tree of class folders on disk, until one of its folders changes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from mmdl.data.columns import one_array
from mmdl.data.paths import data_home
from mmdl.data.readers.class_folders import ClassFolders, list_class_folders

FROM_FILES = 10_000
"""Smaller trees are listed anew: that takes no longer than to ask whether they changed."""

SETTLED = 2_000_000_000
"""Nanoseconds for which no folder may have changed before a listing is kept: clocks of file systems are coarse."""

_VERSION = b"1"


def cached_class_folders(root: str) -> ClassFolders:
    """As `list_class_folders`, from the cache where every folder of the tree is as old as it was then.

    A folder's time changes with every file that is added, removed or renamed in it. A listing with bad files is not
    kept, since they may be mended in place.

    Args:
        root: Folder of the class folders.

    Raises:
        UserError: a folder can't be read.
    """
    place = Path(root).absolute()
    name = hashlib.sha256(str(place).encode(errors="surrogateescape")).hexdigest()[:32]
    kept = data_home() / "cache" / "listing" / f"{name}.arrow"
    found = _load(kept, str(place))
    if found is not None:
        return found
    found = list_class_folders(root)
    newest = max(found.folders.values(), default=0)
    if len(found.labels) >= FROM_FILES and not found.bad and newest < time.time_ns() - SETTLED:
        _save(kept, found)
    return found


def _load(kept: Path, root: str) -> ClassFolders | None:
    """The listing of a file; None where there is none, it is damaged, or a folder changed since."""
    try:
        with pa.memory_map(str(kept)) as file:
            table = pa.ipc.open_file(file).read_all()
        metadata = table.schema.metadata
        classes: list[str] = json.loads(metadata[b"classes"])
        folders: dict[str, int] = json.loads(metadata[b"folders"])
        if metadata[b"version"] != _VERSION:
            return None
        for folder, changed in folders.items():
            if os.stat(f"{root}/{folder}").st_mtime_ns != changed:  # noqa: PTH116
                return None
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None
    names = one_array(table["names"])
    labels = np.array(table["labels"].to_numpy(), dtype=np.int64)
    return ClassFolders(tuple(classes), names, labels, [], folders)


def _save(kept: Path, found: ClassFolders) -> None:
    metadata = {
        "version": _VERSION,
        "classes": json.dumps(found.classes),
        "folders": json.dumps(found.folders),
    }
    table = pa.table({"names": found.names, "labels": found.labels}).replace_schema_metadata(metadata)
    kept.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{kept.name}.", dir=kept.parent)
    try:
        with os.fdopen(handle, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        Path(part).replace(kept)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
