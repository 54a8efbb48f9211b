"""From the words of a command line to run folders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmdl.errors import UserError, nearest

SIGNS = ("config.yaml", "status.json", "metrics.jsonl")
"""Files of which a run folder has at least one."""


def choose_runs(words: Sequence[str], root: Path) -> list[Path]:
    """The run folders that words stand for, in their order, each once.

    A word is `latest`, `latest:3`, the id of a run, a pattern over ids (`vqa-*`), the name of a sweep or of an
    experiment that runs share, or a folder: of a run, of a sweep, or of several runs. A study stands for its arms.

    Args:
        words: At least one.
        root: Folder of all runs.

    Raises:
        UserError: if a word stands for nothing.
    """
    known = list(_runs_in(root))
    found: list[Path] = []
    for word in words:
        found += _chosen(word, root, known)
    unique: dict[Path, Path] = {}
    for path in found:
        for run in _arms(path) or [path]:
            unique.setdefault(run.resolve(), run)
    return list(unique.values())


def _chosen(word: str, root: Path, known: list[Path]) -> list[Path]:
    latest = re.fullmatch(r"latest(?::([1-9]\d{0,5}))?", word)
    if latest and known:
        return sorted(known, key=_begun)[-int(latest[1] or 1) :]
    by_id = [path for path in known if path.name == word]
    if by_id:
        return by_id
    path = Path(word).expanduser()
    if is_run(path):
        return [path]
    sweep = _sweep(word, root)
    if sweep:
        return sweep
    inside = list(_runs_in(path)) if path.is_dir() else []
    if inside:
        return inside
    matching = _matching(word, known)
    named = [run for run in known if _name(run) == word] if not matching else []
    if matching or named:
        return matching or named
    raise _unknown(word, root, known)


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run, whole or damaged."""
    return any((path / name).is_file() for name in SIGNS)


def _runs_in(folder: Path) -> Iterator[Path]:
    try:
        below = sorted(folder.iterdir())
    except OSError:
        return
    yield from (path for path in below if is_run(path))


def _begun(run: Path) -> tuple[float, str]:
    times = [path.stat().st_mtime for name in SIGNS if (path := run / name).is_file()]
    return (times[0] if times else 0.0, run.name)


def _arms(run: Path) -> list[Path]:
    return list(_runs_in(run / "arms"))


def _matching(word: str, known: list[Path]) -> list[Path]:
    """Runs whose id or path fits a pattern."""
    if not any(sign in word for sign in "*?["):
        return []
    from fnmatch import fnmatchcase
    from glob import glob

    by_id = [path for path in known if fnmatchcase(path.name, word)]
    paths = [Path(name) for name in sorted(glob(str(Path(word).expanduser())))]  # noqa: PTH207 - of any root
    return by_id or [path for path in paths if is_run(path)]


def _name(run: Path) -> str:
    try:
        found = json.loads((run / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(found.get("name", "")) if isinstance(found, dict) else ""


def _sweep(word: str, root: Path) -> list[Path]:
    from mmdl.runs.sweeps import find_sweep, sweep_runs

    folder = find_sweep(root, word)
    if folder is None:
        return []
    found = sweep_runs(folder)
    if not found:
        raise UserError(f"no trial of the sweep {word!r} has begun", fix="python -m mmdl sweep --help")
    return found


def _unknown(word: str, root: Path, known: list[Path]) -> UserError:
    from mmdl.runs.sweeps import sweep_names

    if not known:
        return UserError(
            f"there is no run {word!r} in {root.resolve()}",
            valid="no run was begun there",
            fix="python -m mmdl train +experiment=vqa, or --root FOLDER for another folder of runs",
        )
    names = (
        [path.name for path in known] + sweep_names(root) + [name for run in known if (name := _name(run))]
    )
    return UserError(
        f"there is no run {word!r} in {root.resolve()}", valid=nearest(word, names), fix="python -m mmdl ls"
    )
