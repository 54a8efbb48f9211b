"""Checks an experiment without training it, and lists all errors at once.

usage: python -m mmdl check +experiment=NAME [KEY=VALUE ...]

It composes the configuration, binds every `_target_` to its signature, reads the data, verifies the batch contract
and that no image is in two splits, and prints parameters, forward FLOPs, an estimate of memory and the shapes of the
first batch. `train` does the same before it begins.

examples:
  python -m mmdl check +experiment=vqa
  python -m mmdl check +experiment=vqa model/fusion=hadamard data.batch_size=256
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from mmdl.assembly import (
    build_data,
    build_evaluators,
    build_task,
    chosen,
    num_ranks,
    quiet_console,
    static_errors,
)
from mmdl.batch_size import share_out
from mmdl.errors import UserError, UserErrors
from mmdl.instantiate import instantiate
from mmdl.runs.evaluation import check_evaluators
from mmdl.runs.folder import RunFolder
from mmdl.runs.media_limits import media_errors
from mmdl.strategies.limits import sharding_errors

if TYPE_CHECKING:
    from mmdl.data.base import DataModule
    from mmdl.tasks.base import Task

PARTS = ("data", "model", "task")


def require_parts(cfg: DictConfig) -> list[UserError]:
    """One error for each part that an experiment must have and this one has not."""
    return [
        UserError(
            f"no {part} is chosen",
            valid="an experiment, which chooses all parts",
            fix=f"+experiment=vqa, or {part}=NAME (python -m mmdl ls {part})",
        )
        for part in PARTS
        if cfg.get(part) is None
    ]


def averaging_errors(cfg: DictConfig) -> list[UserError]:
    """An error where two callbacks would put their average of the weights into the model."""
    both = [name for name in ("ema", "swa") if name in chosen(cfg.get("callbacks"))]
    if len(both) < 2:
        return []
    return [
        UserError(
            f"the callbacks {' and '.join(both)} both average the weights",
            valid="one of them",
            fix="callbacks=[default,ema] or callbacks=[default,swa]",
        )
    ]


def check_config(cfg: DictConfig) -> None:
    """Raise all errors that the configuration shows by itself.

    Raises:
        UserErrors: all of them.
    """
    errors = require_parts(cfg) + averaging_errors(cfg) + sharding_errors(cfg) + static_errors(cfg)
    errors += media_errors(cfg.get("media"))
    if errors:
        raise UserErrors(errors)


def check_objects(cfg: DictConfig, data: DataModule) -> tuple[Task, list[str]]:
    """Build the task, verify it against the data, and measure it.

    Returns:
        The task and the lines of the report.

    Raises:
        UserErrors: everything that is wrong.
    """
    from mmdl import checking
    from mmdl.runs.hardware import resolve_precision

    errors = checking.split_errors(data)
    try:
        precision = resolve_precision(cfg.trainer.precision, str(cfg.trainer.accelerator))
        cfg.trainer.precision = precision  # so that the saved configuration shows what was used
    except UserError as error:
        errors.append(error)
        precision = "?"
    try:
        task = build_task(cfg)
    except UserError as error:
        raise UserErrors([*errors, *(error.errors if isinstance(error, UserErrors) else [error])]) from error
    try:
        task.build_optimizer(total_steps=1000)
    except UserError as error:
        errors += error.errors if isinstance(error, UserErrors) else [error]
    errors += task.trainer_errors(cfg.trainer, data.batch_size)
    batch = checking.first_batch(data)
    errors += checking.batch_errors(data, task.model, batch)
    if errors:
        raise UserErrors(errors)
    cost = checking.measure(task, data)
    task.training_flops = cost.training_flops
    lines = checking.report(data, cost, batch, precision)
    return task, lines + checking.network_table(task.model, batch) + checking.frozen_lines(task.model)


def main(cfg: DictConfig) -> None:
    """Run the verb."""
    quiet_console()
    check_config(cfg)
    import lightning.pytorch as pl

    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    share_out(cfg, num_ranks(cfg.trainer))
    data = build_data(cfg)
    _, lines = check_objects(cfg, data)
    check_evaluators(build_evaluators(cfg).values(), data)
    if cfg.get("study") is not None:
        from mmdl.studies.arms import make_arms

        arms = make_arms(cfg, instantiate(cfg.study), RunFolder(Path(cfg.run.root), "check"), data)
        lines += [f"{'arm':12} {arm.name}: {arm.described()}" for arm in arms]
    print("\n".join(lines))
    print("ok")
