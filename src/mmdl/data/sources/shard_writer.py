"""Writes tar shards in webdataset's layout, for fixtures, tests and benchmarks."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_shards(
    folder: Path, samples: Iterable[Mapping[str, bytes]], per_shard: int, prefix: str = "shard"
) -> list[Path]:
    """Write samples, so many to a shard, with a `sizes.json` beside them.

    Args:
        folder: Where; made if need be.
        samples: Extension -> content of each sample.
        per_shard: Samples in a shard.
        prefix: Of the shards' names.

    Returns:
        The shards: `<prefix>-000000.tar`, ...
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[list[Mapping[str, bytes]]] = []
    for sample in samples:
        if not parts or len(parts[-1]) == per_shard:
            parts.append([])
        parts[-1].append(sample)
    paths = []
    for number, part in enumerate(parts):
        paths.append(folder / f"{prefix}-{number:06d}.tar")
        with tarfile.open(paths[-1], "w") as tar:
            for place, sample in enumerate(part):
                for extension, content in sample.items():
                    info = tarfile.TarInfo(f"{number:06d}{place:04d}.{extension}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    sizes = folder / "sizes.json"
    known = json.loads(sizes.read_text()) if sizes.exists() else {}
    known |= {path.name: len(part) for path, part in zip(paths, parts, strict=True)}
    sizes.write_text(json.dumps(known))
    return paths
