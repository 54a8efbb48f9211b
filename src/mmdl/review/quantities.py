"""In which order the quantities of runs are shown, and under which headings."""

from __future__ import annotations

from collections.abc import Collection, Iterable

COUNTERS = frozenset(("epoch", "trainer/global_step", "step"))
"""Quantities that only count."""

ONCE = ("test/", "baseline/", "best/")
"""Figures that are logged once, at the end: they are no curve."""


def ordered(names: Iterable[str], monitors: Collection[str]) -> list[tuple[str, str]]:
    """Names of curves with their headings: monitored figures and losses first, parts of a figure (a class) last.

    Args:
        names: Of all quantities; counters and figures that are logged once are left out.
        monitors: Names of the figures that choose the weights.

    >>> ordered(["val/f1/class/a", "train/loss", "epoch", "val/f1", "test/f1"], ["val/f1"])
    [('val/f1', 'Monitored'), ('train/loss', 'train'), ('val/f1/class/a', 'val, by part')]
    """
    place = {"train": 0, "val": 1}
    shown = [name for name in names if name not in COUNTERS and not name.startswith(ONCE)]
    shown.sort(
        key=lambda name: (
            name not in monitors,
            name.count("/") > 1,
            place.get(name.split("/")[0], 2),
            "loss" not in name,
            name,
        )
    )
    return [(name, heading(name, monitors)) for name in shown]


def heading(name: str, monitors: Collection[str]) -> str:
    """Under which heading a quantity stands.

    Args:
        name: Of the quantity.
        monitors: Names of the figures that choose the weights.
    """
    if name in monitors:
        return "Monitored"
    first, _, rest = name.partition("/")
    if not rest:
        return "other"
    return f"{first}, by part" if "/" in rest and first in ("train", "val") else first
