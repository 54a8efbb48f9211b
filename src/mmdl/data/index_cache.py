"""Keeps validated indexes on disk, so that a split's files are read and checked once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmdl.data.vqa_index import READER_VERSION, DamagedIndex, VQAIndex


def cached_index(
    key_files: Iterable[str | os.PathLike[str]],
    build: Callable[[], VQAIndex],
    cache_dir: str | os.PathLike[str],
    options: Mapping[str, Any] | None = None,
) -> VQAIndex:
    """Load a split's index from the cache, or build it and put it there.

    The key is made of each file's path, size and time of change (for a folder: that of the last file added or
    removed), the options, and `READER_VERSION`. A damaged entry is built anew. An index without some of its
    images (reason `missing image`) is not kept: they may arrive in a folder that is not part of the key.

    Args:
        key_files: Files, and folders of images, that the index is made from.
        build: Reads them.
        cache_dir: Folder of the cache.
        options: What else changes the result: plain values.
    """
    digest = hashlib.sha256(json.dumps([READER_VERSION, dict(options or {})], sort_keys=True).encode())
    for path in map(Path, key_files):
        facts = path.stat() if path.exists() else None
        known = [str(path.absolute()), *([facts.st_size, facts.st_mtime_ns] if facts else [])]
        digest.update(json.dumps(known).encode())
    folder = Path(cache_dir) / f"vqa_index-{digest.hexdigest()[:20]}"
    if folder.exists():
        try:
            return VQAIndex.load(folder)
        except DamagedIndex:
            shutil.rmtree(folder)
    index = build()
    if "missing image" in index.skipped:
        return index
    try:
        index.save(folder)
    except OSError:
        if not folder.exists():  # else another process was faster, with the same content
            raise
    return VQAIndex.load(folder)
