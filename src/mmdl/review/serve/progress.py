"""How far a training is and when it will end, from `progress.json` and the last lines of `metrics.jsonl`."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

TAIL = 1 << 15
"""Bytes at the end of `metrics.jsonl` that the pace is taken from."""

PAUSE = 20.0
"""A step that takes so many times the median was a pause: a preemption, or a continuation days later."""


class Tail(NamedTuple):
    """The end of a training so far.

    Attributes:
        step: Last optimizer step that was logged.
        epoch: Last epoch that was logged.
        time: When, in seconds since 1970.
        pace: Seconds a step with validation, without pauses; None where fewer than two steps were logged.
        steps_per_epoch: None where no epoch has ended in these lines.
    """

    step: int | None = None
    epoch: float | None = None
    time: float | None = None
    pace: float | None = None
    steps_per_epoch: float | None = None


class Progress(NamedTuple):
    """How far a training is.

    Attributes:
        step: Optimizer steps so far.
        total: Steps of the whole training.
        epoch: Epochs so far, from 0.
        epochs: Of the whole training.
        share: In [0, 1].
        left_s: Seconds until its end, at the time of the last line.
        samples_per_s: Throughput.
    """

    step: int | None = None
    total: int | None = None
    epoch: float | None = None
    epochs: int | None = None
    share: float | None = None
    left_s: float | None = None
    samples_per_s: float | None = None


def read_tail(path: Path) -> Tail:
    """What the last lines say; without a file, nothing."""
    try:
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
            handle.seek(max(0, size - TAIL))
            lines = handle.read().split(b"\n")[1 if size > TAIL else 0 : -1]
    except OSError:
        return Tail()
    points: list[tuple[int, float, float | None]] = []
    for line in lines:
        try:
            row = json.loads(line)
            point = (int(row["step"]), float(row["time"]), number(row.get("epoch")))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            continue
        points.append(point)
    if not points:
        return Tail()
    pairs = list(pairwise(points))
    took = [(after[1] - before[1], after[0] - before[0]) for before, after in pairs]
    rates = [seconds / steps for seconds, steps in took if steps > 0 and seconds >= 0]
    most = PAUSE * statistics.median(rates) if rates else 0.0
    # seconds of a validation, after which the step has not changed, count too
    kept = [(s, n) for s, n in took if n >= 0 and s >= 0 and (s <= most * max(n, 1) or len(rates) < 2)]
    steps = sum(n for _, n in kept)
    pace = sum(s for s, _ in kept) / steps if steps > 0 else None
    step, time, epoch = points[-1]
    turns = [after for before, after in pairs if None not in (before[2], after[2]) and after[2] != before[2]]
    per_epoch = None
    if len(turns) > 1 and (turns[-1][2] or 0) > (turns[0][2] or 0):
        per_epoch = (turns[-1][0] - turns[0][0]) / ((turns[-1][2] or 0) - (turns[0][2] or 0))
    return Tail(step, epoch, time, pace, per_epoch)


def progress_of(
    written: Mapping[str, Any], tail: Tail, max_steps: int | None, max_epochs: int | None, finished: bool
) -> Progress:
    """What is known of a training's progress.

    Args:
        written: `progress.json`; empty for runs of older versions.
        tail: Of `metrics.jsonl`.
        max_steps: Of the configuration.
        max_epochs: Of the configuration.
        finished: Whether it is over.
    """
    step, total = whole(written.get("step")), whole(written.get("total_steps")) or max_steps
    step = tail.step if step is None else step
    epoch, epochs = number(written.get("epoch")), whole(written.get("max_epochs")) or max_epochs
    epoch = tail.epoch if epoch is None else epoch
    if total is None and epochs and tail.steps_per_epoch:
        total = round(tail.steps_per_epoch * epochs)
    share = None
    if finished:
        share = 1.0
    elif step is not None and total:
        share = step / total
    elif epoch is not None and epochs:
        share = epoch / epochs
    share = None if share is None else min(1.0, max(0.0, share))
    left = None
    if not finished and tail.pace is not None and total and step is not None:
        left = max(0.0, (total - step) * tail.pace)
    return Progress(step, total, epoch, epochs, share, left, number(written.get("samples_per_s")))


def number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def whole(value: Any) -> int | None:
    """A number without fraction, or None."""
    found = number(value)
    return None if found is None or found != int(found) else int(found)
