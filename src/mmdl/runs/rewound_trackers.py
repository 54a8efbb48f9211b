"""Loggers of a run that is continued: what came after its checkpoint is logged again, and must not be there twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

WHOLE = ("epoch", "trainer/global_step")
"""Figures that are whole numbers in Lightning's files."""

NOT_LOGGED = ("step", "time", "n")
"""What a line of `metrics.jsonl` has beside its figures."""


def rewind_trackers(loggers: Iterable[Any], rows: Iterable[Mapping[str, Any]], step: int) -> None:
    """Bring CSV and TensorBoard files to where the checkpoint was saved.

    Lightning's CSV logger deletes the file of the run's first part, so its rows are written again; TensorBoard is told
    to hide later steps, as its own `purge_step` does. W&B can't forget rows: those between the checkpoint and a kill
    come twice, with the same `trainer/global_step` and the same values.

    Args:
        loggers: Of the run.
        rows: The lines of `metrics.jsonl` up to the checkpoint.
        step: Optimizer step of the checkpoint.
    """
    for logger in loggers:
        if isinstance(logger, CSVLogger):
            for row in rows:
                values = {name: value for name, value in row.items() if name not in NOT_LOGGED}
                values |= {name: int(values[name]) for name in WHOLE if name in values}
                logger.log_metrics(values, row["step"])
            logger.save()
        elif isinstance(logger, TensorBoardLogger):
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog

            writer = logger.experiment._get_file_writer()
            writer.add_event(Event(step=step + 1, file_version="brain.Event:2"))
            writer.add_event(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))
