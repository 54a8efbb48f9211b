"""Artifacts of a run in W&B: its files as they lie in the run folder, not copied, with what they are worth."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmdl.errors import UserError, nearest

log = logging.getLogger("mmdl")


class Kind(NamedTuple):
    """A kind of artifact.

    Attributes:
        type: W&B's type.
        patterns: Its files, below the run folder; `{name}` is the name of the predictions.
        chosen: Whether it belongs to the weights that were chosen as the best, and not to the run alone.
    """

    type: str
    patterns: tuple[str, ...]
    chosen: bool


KINDS = {
    "config": Kind("config", ("config.yaml", "manifest.json"), False),
    "predictions": Kind("predictions", ("predictions/{name}.*", "predictions/{name}_*"), True),
    "answers": Kind("vocabulary", ("answers.json",), False),
    "checkpoint": Kind("model", ("checkpoints/best.safetensors",), True),
}
"""What `logger.wandb.artifacts` may name. The checkpoint is not sent unless it is asked for: it is the one that can be
gigabytes, each run has another, and `mmdl export` or the run folder give it as well."""


def check_kinds(kinds: Iterable[str]) -> None:
    """Refuse what is no kind of artifact.

    Raises:
        UserError: naming it.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(
                f"logger.wandb.artifacts has {kind!r}",
                valid=nearest(str(kind), KINDS),
                fix=f"logger.wandb.artifacts=[{','.join(KINDS)}]",
            )


def log_artifacts(
    run: Any,
    folder: Path,
    kinds: Iterable[str],
    *,
    name: str,
    limit_mb: float,
    metadata: Mapping[str, Any],
    is_best: bool,
) -> list[str]:
    """Log a finished run's files as artifacts.

    A file is hard-linked below `wandb/artifacts/` and handed over from there without a copy: mmdl replaces its files
    and never writes into them, so the link keeps what was logged, and takes no space.

    Args:
        run: W&B's run.
        folder: The run folder.
        kinds: Of `KINDS`.
        name: Of the predictions: `test`.
        limit_mb: Megabytes of an artifact at most; a larger one is said and left out.
        metadata: What is known of the run: metric, value, step.
        is_best: Whether the weights are the best on the validation figure, and not just the last.

    Returns:
        Names of those that were logged.
    """
    import wandb

    logged = []
    for kind in kinds:
        files = _files(folder, KINDS[kind].patterns, name)
        size = sum(path.stat().st_size for path in files)
        if not files:
            continue
        if size > limit_mb * 1e6:
            log.info(
                "W&B: %s has %.0f MB, more than logger.wandb.artifact_limit_mb=%g: it stays in the run folder",
                kind,
                size / 1e6,
                limit_mb,
            )
            continue
        artifact = wandb.Artifact(
            f"{kind}-{run.id}",
            type=KINDS[kind].type,
            metadata=dict(metadata) | {"bytes": size, "sha256": {path.name: _sha256(path) for path in files}},
        )
        for path in files:
            linked = _linked(path, folder / "wandb" / "artifacts" / f"{kind}-{run.id}" / path.name)
            artifact.add_file(str(linked.resolve()), name=path.name, policy="immutable", skip_cache=True)
        aliases = ["latest", "best"] if is_best and KINDS[kind].chosen else ["latest"]
        run.log_artifact(artifact, aliases=aliases)
        logged.append(artifact.name)
    return logged


def _files(folder: Path, patterns: Iterable[str], name: str) -> list[Path]:
    found = {
        path for pattern in patterns for path in folder.glob(pattern.format(name=name)) if path.is_file()
    }
    return sorted(found)


def _linked(path: Path, target: Path) -> Path:
    """A second name for a file; a copy on file systems without hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
