"""A data set in loader processes: each notes what it works on, and returns what goes wrong."""

from __future__ import annotations

import os
import traceback
from typing import Any, NamedTuple

from torch.utils.data import Dataset, get_worker_info

from mmdl.data.sampler import IntArray
from mmdl.data.worker_board import PLAIN, WorkerBoard, WorkerTask
from mmdl.errors import UserError


class WorkerFailure(NamedTuple):
    """What a data set raised in a loader process.

    Attributes:
        worker: Which process.
        task: The batch.
        error: A mistake of the user's, as it was raised; None for others.
        text: Name and message of the exception.
        trace: Its traceback; empty where memory ran out.
    """

    worker: int
    task: WorkerTask
    error: UserError | None
    text: str
    trace: str


class WatchedDataset(Dataset[Any]):
    """The same batches; what is raised in a loader process is returned as a `WorkerFailure`.

    torch turns what is raised there into an exception of the same type whose message is a traceback, and does not say
    which samples it was about.

    Args:
        dataset: Maps rows, or a tuple of rows and epoch, to a batch.
        board: Where the processes note what they do.
    """

    def __init__(self, dataset: Dataset[Any], board: WorkerBoard) -> None:
        self.dataset = dataset
        self.board = board

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, item: Any) -> Any:
        info = get_worker_info()
        if info is None:
            return self.dataset[item]
        task = task_of(item)
        self.board.begin(info.id, os.getpid(), task)
        try:
            batch = self.dataset[item]
            if isinstance(batch, UserError):  # of a data set that knows that torch mangles what it raises
                raise batch
        except UserError as error:
            batch = WorkerFailure(info.id, task, error, str(error), "")
        except MemoryError as error:
            batch = WorkerFailure(info.id, task, None, f"MemoryError {error}".strip(), "")
        except Exception as error:  # noqa: BLE001 - it is raised again in the training process
            text = f"{type(error).__name__}: {error}"
            batch = WorkerFailure(info.id, task, None, text, traceback.format_exc())
        self.board.end(info.id)
        return batch


def task_of(item: IntArray | tuple[IntArray, int]) -> WorkerTask:
    """Rows and epoch of what a sampler yields."""
    return WorkerTask(*item) if isinstance(item, tuple) else WorkerTask(item, PLAIN)
