"""What each loader process is at, in memory that it shares with the training process."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from mmdl.data.heartbeat import beat, beat_into

MOST_ROWS = 16384
"""Rows of a batch that are noted, at most."""

PLAIN = -1
"""Epoch of a batch that carries none."""

_PID, _BUSY, _BEAT, _EPOCH, _COUNT, _ROWS = range(6)


class WorkerTask(NamedTuple):
    """The batch that a loader process works on.

    Attributes:
        rows: `(n,)` int64, its first rows.
        epoch: Which epoch, or `PLAIN`.
    """

    rows: npt.NDArray[np.int64]
    epoch: int


class WorkerBoard:
    """A line for each loader process: its id, what it works on, and when it last got on.

    Args:
        workers: How many there are.
    """

    def __init__(self, workers: int) -> None:
        self._lines = torch.zeros(workers, _ROWS + MOST_ROWS, dtype=torch.int64).share_memory_()

    # -- in a loader process ----------------------------------------------------------------------------------------

    def begin(self, worker: int, pid: int, task: WorkerTask) -> None:
        """Note that a process starts a batch."""
        line = self._lines[worker].numpy()
        count = min(len(task.rows), MOST_ROWS)
        line[_ROWS : _ROWS + count] = task.rows[:count]
        line[_PID], line[_EPOCH], line[_COUNT] = pid, task.epoch, count
        beat_into(line[_BEAT : _BEAT + 1])
        beat()
        line[_BUSY] = 1

    def end(self, worker: int) -> None:
        """Note that the batch is done."""
        line = self._lines[worker].numpy()
        line[_BEAT] = time.monotonic_ns()
        line[_BUSY] = 0

    # -- in the training process ------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget the processes of an earlier iteration."""
        self._lines[:, :_ROWS] = 0

    def quiet_seconds(self) -> float:
        """For how long no process got on: began or ended a batch, decoded an image, received a byte."""
        return (time.monotonic_ns() - int(self._lines[:, _BEAT].max())) / 1e9

    def busy(self) -> list[int]:
        """The processes that work on a batch, the one that got on last at the end."""
        lines = self._lines.numpy()
        return sorted(np.flatnonzero(lines[:, _BUSY]).tolist(), key=lambda worker: lines[worker, _BEAT])

    def pid(self, worker: int) -> int:
        """Its process id; 0 where it has not begun a batch."""
        return int(self._lines[worker, _PID])

    def task(self, worker: int) -> WorkerTask | None:
        """What it works on."""
        line = self._lines[worker].numpy()
        if not line[_BUSY]:
            return None
        return WorkerTask(line[_ROWS : _ROWS + line[_COUNT]].copy(), int(line[_EPOCH]))
