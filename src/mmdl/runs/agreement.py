"""Decisions that rank 0 takes for all ranks: each looking at the folder itself, they could see different files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mmdl.errors import EXIT_USER_ERROR, UserError

if TYPE_CHECKING:
    import lightning.pytorch as pl

HANDED_DOWN = "MMDL_DECISION"
"""Hands a decision to the ranks that this process is about to launch: its process id and the decision as JSON."""

REPORT_S = 5.0
"""Other launchers end all ranks with the first that ends: rank 0 gets so many seconds to say what failed."""


def agree(trainer: pl.Trainer, task: pl.LightningModule, decide: Callable[[], str | None]) -> str | None:
    """What rank 0 decides, on every rank; all ranks call this together.

    Works before `fit` too: ranks that exist already are connected, others find the decision in their environment.

    Args:
        trainer: Of the run.
        task: What it trains.
        decide: Called on rank 0.

    Raises:
        UserError: on rank 0, if `decide` raises it.
        SystemExit: on the other ranks then; one message is enough.
    """
    import torch

    if trainer.world_size == 1:
        return decide()
    strategy: Any = trainer.strategy
    found: str | None
    if not torch.distributed.is_initialized():
        parent, _, handed = os.environ.get(HANDED_DOWN, "").partition(" ")
        if handed and int(parent) == os.getppid():
            found = json.loads(handed)
            return found
        if not strategy.cluster_environment.creates_processes_externally:
            found = decide()
            os.environ[HANDED_DOWN] = f"{os.getpid()} {json.dumps(found)}"
            return found
        strategy.connect(task)
        strategy.setup_environment()
    decided = None
    with failing_together(trainer):
        if trainer.is_global_zero:
            decided = decide()
    found = strategy.broadcast(decided)
    return found


@contextmanager
def failing_together(trainer: pl.Trainer) -> Iterator[None]:
    """Ends all ranks where rank 0 can't do what stands in the block; all ranks enter it together.

    Args:
        trainer: Of the run.

    Raises:
        UserError: on rank 0, if its block raises it.
        SystemExit: on the other ranks then, which would wait for rank 0 otherwise; one message is enough.
    """
    error: UserError | None = None
    try:
        yield
    except UserError as raised:
        error = raised
    if trainer.world_size == 1:
        if error is not None:
            raise error
        return
    failed = trainer.strategy.broadcast(error is not None)
    if error is not None:
        raise error
    if failed:
        raise silent_end(trainer)


def silent_end(trainer: pl.Trainer) -> SystemExit:
    """How a rank other than 0 ends because of an error that rank 0 reports for all."""
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment

    # Lightning's launcher kills rank 0, with what it has to say, if a rank that it launched ends with another code.
    launched = isinstance(getattr(trainer.strategy, "cluster_environment", None), LightningEnvironment)
    if not launched:
        time.sleep(REPORT_S)
    return SystemExit(0 if launched else EXIT_USER_ERROR)
