"""Writes all stacks of a rank that gets no further, so that a hang can be understood and not only ended."""

from __future__ import annotations

import faulthandler
import logging
import os
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from mmdl.data import worker_stacks
from mmdl.errors import UserError
from mmdl.runs.activity import Activity, activity
from mmdl.runs.flight_recorder import pending_collectives
from mmdl.runs.folder import RunFolder
from mmdl.runs.host_group import collective_timeout

LAST_WORDS_S = 20.0
"""So many seconds before NCCL ends a process with a text of its own, the run is noted as failed."""

SLOW = 10.0
"""What has no median (the first steps, which compile; evaluators; saving) may take so many times the floor."""

LEAST_S = 30.0
"""Less than that in the first steps is never a hang."""

EXIT_HUNG = 1

log = logging.getLogger("mmdl")


class Watchdog(Callback):
    """Dumps the stacks of this rank and its loader processes after many times the median step without progress.

    A thread looks at what the hooks note, which costs a step two looks at the clock. It dumps again at doubling
    intervals. With several ranks each has its own.

    Args:
        folder: Where; the run folder's `stacks/`.
        factor: So many times the median of a step, or of an evaluation batch, with the wait for its data.
        floor_s: Not before so many seconds.
        most_dumps: So many files for one hang.
        abort_after_minutes: End this process then, with exit code 1; null: never. A collective of several ranks ends by
            `strategy.timeout_minutes` anyway.

    Raises:
        UserError: if a number is not positive.
    """

    def __init__(
        self,
        folder: str,
        factor: float = 20.0,
        floor_s: float = 60.0,
        most_dumps: int = 4,
        abort_after_minutes: float | None = None,
    ) -> None:
        numbers = {"factor": factor, "floor_s": floor_s, "abort_after_minutes": abort_after_minutes}
        for name, value in numbers.items():
            if value is not None and not value > 0:
                raise UserError(f"callbacks.watchdog.{name}={value}", valid="a positive number")
        self.folder = Path(folder)
        self.factor = factor
        self.floor_s = floor_s
        self.most_dumps = most_dumps
        self.abort_after_s = None if abort_after_minutes is None else 60 * abort_after_minutes
        self._rank = 0
        self._deadline_s: float | None = None
        self._patience_s = SLOW * floor_s
        self._stop: threading.Event | None = None

    # -- progress ---------------------------------------------------------------------------------------------------

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begin to watch."""
        self._rank = trainer.global_rank
        if trainer.world_size > 1:
            timeout = collective_timeout().total_seconds()
            early = max(timeout / 2, timeout - LAST_WORDS_S)
            # All ranks write their stacks before one of them gives up and ends the others.
            self._patience_s = min(self._patience_s, max(early, LEAST_S))
            if "nccl" in torch.distributed.get_backend_config():
                self._deadline_s = early
        activity.enter("start-up")
        if self._stop is None:
            self._stop = threading.Event()
            threading.Thread(
                target=self._watch, args=(self._stop, activity), daemon=True, name="watchdog"
            ).start()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """A step begins."""
        activity.repeat("step", trainer.global_step)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A step ends."""
        activity.enter("waiting for the data after step", trainer.global_step)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Between steps and validation batches."""
        activity.pause()
        activity.enter("the start of the validation")

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, *more: Any
    ) -> None:
        """A validation batch begins."""
        activity.repeat("validation batch", batch_idx)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The evaluators begin."""
        activity.pause()
        activity.enter("evaluators")

    def on_test_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, *more: Any
    ) -> None:
        """A test batch begins."""
        activity.repeat("test batch", batch_idx)

    on_test_start = on_validation_start
    on_test_epoch_end = on_validation_epoch_end

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saving may follow, then steps."""
        activity.enter("the end of an evaluation")

    on_test_end = on_validation_end

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """A checkpoint is written."""
        activity.pause()
        activity.enter("saving at step", trainer.global_step)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Stop watching."""
        activity.pause()
        activity.enter("the end")
        if self._stop is not None:
            self._stop.set()
            self._stop = None

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """What comes now is the end; the phase stays for the message."""
        if self._stop is not None:
            self._stop.set()
            self._stop = None

    # -- the thread -------------------------------------------------------------------------------------------------

    def limit(self, seen: Activity) -> float:
        """Seconds without progress after which the present phase counts as hung."""
        repeated = "step" if seen.phase.startswith("waiting for the data") else seen.phase
        median = seen.median(repeated)
        if median is None:
            return self._patience_s
        return max(self.floor_s, self.factor * median)

    def _watch(self, stop: threading.Event, seen: Activity) -> None:
        since, dumps, told = seen.since, 0, False
        while not stop.wait(min(1.0, self.floor_s / 4)):
            if seen.since != since:
                if dumps:
                    log.info("watchdog     rank %d goes on: %s", self._rank, seen)
                if told:
                    self._status("running")
                since, dumps, told = seen.since, 0, False
            quiet = time.monotonic() - since
            if dumps < self.most_dumps and quiet > self.limit(seen) * 2**dumps:
                dumps += 1
                self._report(seen, quiet)
            if self._deadline_s is not None and quiet > self._deadline_s and not told:
                told = True
                self._status("failed", self._hangs(seen, quiet) + "; NCCL ends the process now")
            if self.abort_after_s is not None and quiet > self.abort_after_s:
                self._abort(seen, quiet)

    def _report(self, seen: Activity, quiet: float) -> None:
        path = self.folder / f"rank={self._rank}-{time.strftime('%H%M%S')}.txt"
        try:
            self.dump(path, f"{quiet:.0f} s without progress in {seen}")
        except OSError as error:
            log.warning("watchdog     no stacks: %s", error)
        usual = seen.median(seen.phase)
        log.warning(
            "watchdog     rank %d: no progress for %.0f s in %s%s; all stacks are in %s",
            self._rank,
            quiet,
            seen,
            "" if usual is None else f" (else {usual:.2g} s)",
            path,
        )

    def dump(self, path: Path, title: str) -> None:
        """Write the stacks of all threads and loader processes, and the collectives that have begun and not ended.

        Args:
            path: The file.
            title: Its first line.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            file.write(f"{title}; rank {self._rank}, process {os.getpid()} on {socket.gethostname()}\n\n")
            file.writelines(f"begun, not ended: {line}\n" for line in pending_collectives())
            file.flush()
            # The main thread first: of more than 100 threads faulthandler leaves out the oldest.
            main = sys._current_frames().get(threading.main_thread().ident or 0)
            file.writelines(["Main thread:\n", *traceback.format_stack(main), "\n"])
            file.flush()
            faulthandler.dump_traceback(file, all_threads=True)
            for process, text in worker_stacks.stacks().items():
                file.write(f"\nloader process {process}\n{text}")

    def _abort(self, seen: Activity, quiet: float) -> None:
        self._status("failed", self._hangs(seen, quiet))
        os._exit(EXIT_HUNG)

    def _hangs(self, seen: Activity, quiet: float) -> str:
        return (
            f"rank {self._rank} hangs: no progress for {quiet:.0f} s in {seen}; stacks are in {self.folder}"
        )

    def _status(self, status: str, error: str | None = None) -> None:
        if error is not None:
            log.error("error: %s", error)
        run = self.folder.parent
        if self._rank == 0 or self.abort_after_s is not None:
            RunFolder(run.parent, run.name).try_write_status(status, error=error)
