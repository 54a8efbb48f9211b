"""The runs of a review, under unique ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mmdl.review.model import RunView
from mmdl.review.reading import read_run

DEEPEST = 8


def read_runs(paths: Sequence[Path]) -> list[RunView]:
    """Views of run folders; where several have the same name, those of the folders above stand before it.

    Args:
        paths: Run folders, in any order; one that is given twice counts once.
    """
    unique = list(dict.fromkeys(path.resolve() for path in paths))
    depth = dict.fromkeys(unique, 1)
    for _ in range(DEEPEST):
        counts = Counter(_name(path, depth[path]) for path in unique)
        same = [path for path in unique if counts[_name(path, depth[path])] > 1]
        if not same:
            break
        for path in same:
            depth[path] += 1
    views = []
    for path in unique:
        view = read_run(path)
        view.id = _name(path, depth[path])
        views.append(view)
    return views


def _name(path: Path, depth: int) -> str:
    return "/".join(path.parts[-depth:])
