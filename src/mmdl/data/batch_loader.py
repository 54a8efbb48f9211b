"""The loader of whole batches, which ends the run where a loader process dies, hangs or fails, and names the sample."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, _utils

from mmdl.data import worker_stacks
from mmdl.data.sampler import IntArray
from mmdl.data.socket_folder import short_socket_folder
from mmdl.data.sure_fork import has_started, sure_fork
from mmdl.data.watched_dataset import WatchedDataset, WorkerFailure
from mmdl.data.worker_board import PLAIN, WorkerBoard, WorkerTask
from mmdl.errors import RunError, UserError
from mmdl.runs.ending import end_with_parent
from mmdl.runs.stop_signals import children_deaf

WORKER_TIMEOUT_S = 45.0
"""After so many seconds without a batch, an image or a byte from any loader process a run ends."""

SEARCH_S = 8.0
"""How long to look for the sample of a batch at which a loader process dies or hangs."""

_TIMED_OUT = "DataLoader timed out"

log = logging.getLogger("mmdl")


def _keep(batch: Any) -> Any:
    """The data set returns whole batches, so that there is nothing to collate."""
    return batch


class BatchLoader(DataLoader[Any]):
    """A loader whose loader processes are watched; they don't hear the signals that ask the training to stop.

    Args:
        dataset: Maps what the sampler yields to a whole batch.
        sampler: Yields rows, or `EpochRows`.
        num_workers: Loader processes.
        pin_memory: Copy batches to where a GPU reads them fastest.
        generator: Of the loader's own: to make an iterator would draw on the global random state, and an epoch that
            was resumed would differ from one that was not.
        worker_timeout_s: End the run when loader processes get no sample for so many seconds.
        describe: Rows -> names of samples, for a message.

    Raises:
        UserError: while iterating, where a process died, hangs or ran out of memory, or the data set raised one.
        RuntimeError: while iterating, where the data set raised something else in a process.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        sampler: Iterable[Any],
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
        generator: torch.Generator | None = None,
        worker_timeout_s: float = WORKER_TIMEOUT_S,
        describe: Callable[[IntArray], str] | None = None,
    ) -> None:
        self.board = WorkerBoard(num_workers) if num_workers else None
        self.worker_timeout_s = worker_timeout_s
        self.describe = describe or (lambda rows: f"rows {', '.join(map(str, rows[:5].tolist()))}")
        super().__init__(
            dataset if self.board is None else WatchedDataset(dataset, self.board),
            batch_size=None,
            sampler=sampler,
            collate_fn=_keep,
            num_workers=num_workers,
            pin_memory=pin_memory,
            timeout=min(1.0, worker_timeout_s / 4) if num_workers else 0,
            worker_init_fn=_begin_worker if num_workers else None,
            multiprocessing_context=sure_fork() if num_workers else None,
            generator=generator,
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self.board is None:
            yield from super().__iter__()
            return
        self.board.clear()
        worker_stacks.prepare()
        short_socket_folder()
        with children_deaf(), _deaths_unheard():
            batches = super().__iter__()
        self._processes = list(batches._workers)  # type: ignore[attr-defined]
        worker_stacks.started(self._processes)
        try:
            yield from self._watched(batches)
        except (UserError, RuntimeError):
            self.kill()
            _abandon(batches)
            raise

    def _watched(self, batches: Iterator[Any]) -> Iterator[Any]:
        assert self.board is not None
        since = time.monotonic()
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except Exception as error:
                timed_out = isinstance(error, RuntimeError) and _TIMED_OUT in str(error)
                if (
                    self._dead(0.0 if timed_out else 1.0) is not None
                ):  # batches that it had finished are lost, which is another error
                    raise self._death() from None
                if timed_out:
                    # Both: what was stopped and continued as a whole has been quiet for long, and is not hung.
                    quiet = min(time.monotonic() - since, self.board.quiet_seconds())
                    if quiet < self.worker_timeout_s:
                        continue
                    raise self._hang(quiet) from None
                raise
            if isinstance(batch, WorkerFailure):
                raise self._failure(batch)
            yield batch
            since = time.monotonic()

    # -- what is said -----------------------------------------------------------------------------------------------

    def _hang(self, quiet: float) -> UserError:
        assert self.board is not None
        busy = self.board.busy()
        task = self.board.task(busy[0]) if busy else None
        pid = self.board.pid(busy[0]) if busy else 0
        stack = worker_stacks.stacks().get(pid, "")
        self.kill()
        who = (
            f"loader process {pid} hangs: no sample for {quiet:.0f} s"
            if busy
            else f"no batch for {quiet:.0f} s"
        )
        return RunError(
            f"{who}{self._where(task)}{_innermost(stack)}",
            valid=f"a sample every {self.worker_timeout_s:g} s (data.worker_timeout_s)",
            fix="data.worker_timeout_s=300 for a slow store, or data.num_workers=0 to see where it waits",
        )

    def _dead(self, patience: float = 0.0) -> int | None:
        """A process that died, within so many seconds."""
        end = time.monotonic() + patience
        while True:
            for worker, process in enumerate(self._processes):
                if process.exitcode is not None:
                    return worker
            if time.monotonic() >= end:
                return None
            time.sleep(0.02)

    def _death(self) -> UserError:
        worker = self._dead()
        assert self.board is not None
        assert worker is not None
        process = self._processes[worker]
        task = self.board.task(worker)
        self.kill()
        code = process.exitcode
        cause = f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
        killed = code == -signal.SIGKILL
        cause += ", as Linux does where memory runs out" * killed
        less = "data.num_workers or data.batch_size smaller, or more memory for the job"
        return RunError(
            f"loader process {process.pid} {cause}{self._where(task)}",
            fix=f"{less}; dmesg tells what was killed" if killed else "data.num_workers=0 shows where",
        )

    def _failure(self, failure: WorkerFailure) -> BaseException:
        memory = failure.text.startswith("MemoryError")
        if failure.error is not None:
            return failure.error
        self.kill()
        where = self._where(failure.task)
        if memory:
            return RunError(
                f"a loader process ran out of memory ({failure.text}){where}",
                fix="data.num_workers or data.batch_size smaller, or more memory for the job",
            )
        return RuntimeError(f"a loader process failed{where}: {failure.text}\n\n{failure.trace}")

    def _where(self, task: WorkerTask | None) -> str:
        """Which sample it was: that of the batch at which the same happens again, or else the batch."""
        if task is None or not len(task.rows):
            return ", between two batches"
        if len(task.rows) == 1:
            return f", at {self.describe(task.rows)}"
        assert isinstance(self.dataset, WatchedDataset)
        log.info("searching    the sample of a batch of %d at which a loader process failed", len(task.rows))
        row = find_sample(self.dataset.dataset, task, min(self.worker_timeout_s, SEARCH_S / 2))
        batch = f"in a batch of {len(task.rows)}: {self.describe(task.rows)}"
        if row is None:
            return f", {batch} (none of them alone does it again)"
        return f", at {self.describe(np.array([row]))}, {batch}"

    def kill(self) -> None:
        """End the loader processes, even those that hear nothing."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join(5)


def find_sample(dataset: Dataset[Any], task: WorkerTask, quiet_s: float) -> int | None:
    """The row of a batch at which a new loader process dies, hangs or fails; None where none does.

    Args:
        dataset: Not watched.
        task: The batch.
        quiet_s: A row that takes longer hangs.
    """
    rows = [task.rows[place : place + 1] for place in range(len(task.rows))]
    if task.epoch != PLAIN:
        from mmdl.data.caption_dataset import EpochRows

        items: list[Any] = [EpochRows(row, task.epoch) for row in rows]
    else:
        items = list(rows)
    end = time.monotonic() + SEARCH_S
    loader = BatchLoader(dataset, items, num_workers=1, worker_timeout_s=quiet_s)
    assert loader.board is not None
    last: list[WorkerTask | None] = []
    loader._where = lambda task: last.append(task) or ""  # type: ignore[method-assign, func-returns-value]
    try:
        for _ in loader:
            if time.monotonic() > end:
                loader.kill()
                return None
    except (UserError, RuntimeError):
        found = last[0] if last else None
        return int(found.rows[0]) if found is not None else None
    return None


def _abandon(batches: Any) -> None:
    """Keep the iterator from waiting for processes that were killed, which may hold its locks.

    torch keeps their numbers by the iterator's `id`, and refuses another iterator that gets the same one.
    """
    assert batches._shutdown in (False, True)
    if not batches._shutdown and batches._worker_pids_set:
        _utils.signal_handling._remove_worker_pids(id(batches))  # type: ignore[attr-defined]
        batches._worker_pids_set = False
        if hasattr(batches, "_pin_memory_thread"):
            batches._pin_memory_thread_done_event.set()
    batches._shutdown = True


@contextmanager
def _deaths_unheard() -> Iterator[None]:
    """Keep torch's handler of SIGCHLD out.

    It raises wherever the main thread is when a loader process dies: in a step, a collective, the writing of a
    checkpoint. Without it the death is noticed where the next batch is waited for.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL if before is None else before)


def _begin_worker(worker: int) -> None:
    end_with_parent()
    worker_stacks.answer()
    has_started()


def _innermost(stacks: str) -> str:
    """Where the main thread of a process waits, which is the last in its stacks."""
    main = stacks.rpartition("hread 0x")[2]
    line = next((line.strip() for line in main.splitlines() if line.startswith("  File")), "")
    return f"; it waits in {line.removeprefix('File ').replace(chr(34), '')}" if line else ""
