"""Runs a study: its arms one after the other, each a training like any other, then its report."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from omegaconf import DictConfig, OmegaConf

from mmdl.assembly import build_data, chosen
from mmdl.commands.check import check_objects
from mmdl.errors import UserError
from mmdl.instantiate import instantiate
from mmdl.runs.folder import RunFolder
from mmdl.runs.handing_back import status_of
from mmdl.runs.redact import redact
from mmdl.runs.wandb_filing import file_as
from mmdl.studies.arms import is_finished, is_other_training, make_arms
from mmdl.studies.base import Arm, Figures, Report

if TYPE_CHECKING:
    from mmdl.data.base import DataModule

log = logging.getLogger("mmdl")


class Train(Protocol):
    """Trains and tests one run, and leaves its folder."""

    def __call__(self, cfg: DictConfig, run: RunFolder, resuming: bool, *, is_arm: bool) -> Figures:
        """Its figures."""


class Begin(Protocol):
    """Makes a run folder with what is known before training."""

    def __call__(self, cfg: DictConfig, run: RunFolder, data: DataModule, resuming: bool) -> None:
        """Write it."""


def run_study(cfg: DictConfig, run: RunFolder, resuming: bool, train: Train, begin: Begin) -> Figures:
    """Train the arms that have not finished, compare all, and leave the study's folder.

    An interrupted study is continued by `resume=`: arms that have finished are kept, the one that was interrupted
    goes on from its last checkpoint, the others follow.

    Args:
        cfg: The configuration, with `study`.
        run: Its folder.
        resuming: Whether the folder holds the beginning of this study.
        train: What trains an arm.
        begin: What makes the folder.

    Returns:
        The figures of the best arm under their own names, and those of all arms as `arm/<name>/...`.

    Raises:
        UserErrors: everything that is wrong with the arms, before anything is made.
    """
    import lightning.pytorch as pl

    began = time.monotonic()
    study = instantiate(cfg.study)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    data = build_data(cfg)
    _, lines = check_objects(cfg, data)
    arms = make_arms(cfg, study, run, data)
    log.info("%s", "\n".join(lines))
    begin(cfg, run, data, resuming)
    try:
        for number, arm in enumerate(arms, start=1):
            _train_arm(arm, f"arm {number} of {len(arms)}", train, run.id)
        report = study.report(run, arms)
        figures = _figures(arms, report) | {
            "time/fit_s": _figure(sum(arm.run.read_summary()["time/fit_s"]["value"] for arm in arms)),
            "time/wall_s": _figure(time.monotonic() - began),
        }
        _take_weights(run, next(arm for arm in arms if arm.name == report.best))
    except BaseException as error:
        run.try_write_status(status_of(error), error=str(error))
        raise
    _finish(cfg, run, data, report, figures)
    return figures


def _figure(value: float) -> dict[str, Any]:
    return {"value": value, "n": None, "ci95": None}


def _train_arm(arm: Arm, label: str, train: Train, study_id: str) -> None:
    if is_finished(arm):
        log.info("%-12s %s has finished before", label, arm.name)
        return
    if is_other_training(arm):
        # Changed on purpose (allow_changes=true): what the arm has done so far is of no use.
        shutil.rmtree(arm.run.path)
    log.info("%-12s %s: %s", label, arm.name, arm.described())
    try:
        with _environment():
            train(arm.config, arm.run, arm.run.exists, is_arm=True)
    except UserError as error:
        error.given = f"arm {arm.name!r}: {error.given}"
        error.fix = error.fix.replace("optimizer.lr", f"study.arms.{arm.name}.optimizer.lr")
        kept = f"the same command with resume={study_id} allow_changes=true keeps the arms that have finished"
        error.fix = f"{error.fix}; {kept}" if error.fix else kept
        raise


@contextmanager
def _environment() -> Iterator[None]:
    """What a training exports (W&B's folders) does not reach the next one."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _figures(arms: list[Arm], report: Report) -> Figures:
    """The best arm's figures as the study's, and the report's."""
    best: Figures = next(arm.run.read_summary() for arm in arms if arm.name == report.best)
    return best | report.figures


def _take_weights(run: RunFolder, best: Arm) -> None:
    """Copy the best arm's weights and results, so that `eval` and `predict` take the study like any run."""
    for name in ("checkpoints", "predictions", "evaluation"):
        ours, theirs = (getattr(folder, name) for folder in (run, best.run))
        shutil.rmtree(ours, ignore_errors=True)
        if theirs.is_dir():
            shutil.copytree(theirs, ours)


def _finish(cfg: DictConfig, run: RunFolder, data: DataModule, report: Report, figures: Figures) -> None:
    """Summary, trackers, table and card."""
    from mmdl.runs.card import card
    from mmdl.runs.jsonl_logger import JsonlLogger
    from mmdl.runs.tracker_images import log_images
    from mmdl.runs.wandb_end import finish_wandb

    split = "test" if data.has_split("test") else "val"
    run.write_summary(figures)
    run.write_status("finished")
    run.metrics_file.unlink(missing_ok=True)  # of a study that had finished before and was resumed
    file_as(cfg.get("logger"), "study", run.id)
    with _environment():
        loggers: list[Any] = [JsonlLogger(run.metrics_file)]
        loggers += [instantiate(node) for node in chosen(cfg.logger).values()]
        for logger in loggers:
            logger.log_hyperparams(redact(OmegaConf.to_container(cfg, resolve=True)))
            logger.log_metrics({name: figure["value"] for name, figure in report.figures.items()}, step=0)
        log_images(loggers, report.pictures, step=0)
        for logger in loggers:
            logger.finalize("success")
        finish_wandb(loggers, figures, run, split)
    notes = [f"weights of {report.best}, which is best on {cfg.monitor.name}"]
    print("\n" + "\n".join(report.lines))
    print(card(run, figures, split, str(cfg.monitor.name), notes))
