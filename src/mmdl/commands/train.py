"""Trains a model, tests it against honest baselines, and leaves a run folder.

usage: python -m mmdl train +experiment=NAME [KEY=VALUE ...]
       python -m mmdl train resume=RUN|latest

common overrides:
  quick=true                    seconds instead of minutes: a smoke run of the same code
  seed=1 run.id=NAME            seed and name of the run
  trainer.max_epochs=5          any argument of Lightning's Trainer
  optimizer=sgd schedule=linear task.freeze=[image_tower*]
  callbacks=[default,ema]       add the moving average of the weights, early_stopping, gradient_norms, ...
  logger=csv                    wandb, csv, tensorboard, none, or several: logger=[wandb,csv]
  debug=one_step                one_step, overfit, profiler, anomaly

examples:
  python -m mmdl train +experiment=vqa
  python -m mmdl train +experiment=mnist
  python -m mmdl train +experiment=vqa seed=0,1,2 -m
  python -m mmdl train resume=latest
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

import mmdl
from mmdl.assembly import (
    build_data,
    build_evaluators,
    build_trainer,
    chosen,
    device_of,
    num_ranks,
    quiet_console,
)
from mmdl.batch_size import share_out
from mmdl.clusters.launch import check_launch
from mmdl.commands.check import check_config, check_objects
from mmdl.errors import Preempted
from mmdl.instantiate import instantiate
from mmdl.runs.evaluation import check_evaluators
from mmdl.runs.flight_recorder import record_collectives
from mmdl.runs.folder import RunFolder, rank
from mmdl.runs.handing_back import (
    hand_back,
    interruption,
    mark_preempting,
    status_of,
    wait_for_ranks,
)
from mmdl.runs.launched_ranks import end_with_rank_0, report_dead_ranks
from mmdl.runs.media_limits import MediaLimits
from mmdl.runs.opening import check_data, named_presets, open_run
from mmdl.runs.shared_id import meet_anew, remember_begun
from mmdl.runs.stop_signals import children_deaf, stop_signals

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from mmdl.callbacks.checkpoints import Checkpoints
    from mmdl.data.base import DataModule
    from mmdl.tasks.base import Task

log = logging.getLogger("mmdl")

INITIALIZE_ON = 5000
"""Training images that a model may see before it learns."""


def main(cfg: DictConfig) -> float | None:
    """Run the verb; returns the monitored figure on the test split, for sweeps."""
    quiet_console()
    end_with_rank_0()
    run = None
    with stop_signals.caught():
        try:
            stop_signals.listen()
            meet_anew()
            cfg, run, resuming = open_run(cfg)
            check_config(cfg)
            check_launch(cfg.trainer)
            share_out(cfg, num_ranks(cfg.trainer))
            if cfg.get("study") is not None:
                from mmdl.studying import run_study

                figures = run_study(cfg, run, resuming, train_run, _begin)
            else:
                figures = train_run(cfg, run, resuming)
        except Preempted as stop:
            hand_back(run, stop)
            raise
    monitored = figures.get(str(cfg.monitor.name).replace("val/", "test/", 1))
    return float(monitored["value"]) if monitored else None


def train_run(
    cfg: DictConfig, run: RunFolder, resuming: bool, *, is_arm: bool = False
) -> dict[str, dict[str, Any]]:
    """Train and test one run, and leave its folder.

    Args:
        cfg: Its configuration, which was checked.
        run: Its folder.
        resuming: Whether the folder holds the beginning of this run.
        is_arm: It is one of several in a study, which reports on them.

    Returns:
        The figures of its summary.
    """
    began = time.monotonic()
    import lightning.pytorch as pl

    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    data = build_data(cfg)
    task, lines = check_objects(cfg, data)
    evaluators = build_evaluators(cfg)
    check_evaluators(evaluators.values(), data)
    if rank() == 0 and not is_arm:
        log.info("%s", "\n".join(lines))
    task.evaluators, task.quick = evaluators, bool(cfg.quick)
    _initialize(task, data)
    _begin(cfg, run, data, resuming)
    trainer: pl.Trainer | None = None
    loggers: list[Any] = []
    try:
        record_collectives(run.stacks)
        report_dead_ranks(lambda text: run.try_write_status("failed", error=text))
        trainer, saver, loggers = _trainer(cfg, run, data, resuming)
        data.place(device_of(cfg))
        _cache_features(cfg, task, data)
        fit_began = time.monotonic()
        _fit(trainer, task, data, run, resuming)
        fit_seconds = time.monotonic() - fit_began
        figures = _test(trainer, task, data, run, saver)
    except BaseException as error:
        from mmdl.runs.lost_ranks import lost_ranks

        lost = lost_ranks(error, run.stacks, f"python -m mmdl train resume={run.id}")
        if rank() == 0:
            run.try_write_status(status_of(error), error=str(lost or error))
        if isinstance(error, Preempted):
            mark_preempting(loggers, error)
            wait_for_ranks(trainer)
        if lost is not None:
            raise lost from error
        if interruption(error) is not error:
            raise interruption(error) from None
        raise
    if trainer.is_global_zero:
        figures["time/fit_s"] = _figure(fit_seconds)
        figures["time/wall_s"] = _figure(time.monotonic() - began)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if hasattr(callback, "figures"):
                figures |= {name: _figure(value) for name, value in callback.figures().items()}
        notes = [line for c in trainer.callbacks if hasattr(c, "notes") for line in c.notes()]  # type: ignore[attr-defined]
        text = _finish(cfg, run, task, data, loggers, figures, notes)
        if not is_arm:
            print(text)
    wait_for_ranks(trainer)
    return figures


def _initialize(task: Task, data: DataModule) -> None:
    """Let a model that wants to see some training images before it learns see them (the same on every rank)."""
    initialize = getattr(task.model, "initialize_from_data", None)
    if initialize is not None:
        count = int(data.offsets("train")[-1])
        rows = np.unique(np.linspace(0, count - 1, min(count, INITIALIZE_ON)).astype(np.int64))
        initialize(data.dataset("train")[rows]["images"])


def _figure(value: float, n: int | None = None, ci95: tuple[float, float] | None = None) -> dict[str, Any]:
    return {"value": value, "n": n, "ci95": list(ci95) if ci95 else None}


def _begin(cfg: DictConfig, run: RunFolder, data: DataModule, resuming: bool) -> None:
    """Make the run folder and write what is known before training."""
    from mmdl.runs.data_report import write_data_report
    from mmdl.runs.files import write_json
    from mmdl.runs.manifest import continued, manifest

    if resuming:
        check_data(run, data.fingerprints(), bool(cfg.allow_changes))
    if rank() != 0:
        return
    if not resuming:
        run.create()
    run.clean()
    run.make_folders()
    run.write_config(_plain(cfg))
    marks = data.marks()
    if marks.get("trained_on_val"):
        log.warning(
            "this run trains on validation data (data.train_on_val=true) and is marked so in manifest.json"
        )
    facts = manifest(data.fingerprints(), marks)
    write_json(run.manifest_file, continued(run.read_manifest(), facts) if resuming else facts)
    data.write_reports(run.path)
    write_data_report(run.data_report_file, data)
    begun = {"resumed": time.time()} if resuming else {"started": time.time()}
    run.write_status(
        "running", name=str(cfg.name), monitor=cfg.monitor.name, **begun, **named_presets(resuming)
    )
    if not resuming:
        remember_begun(run.id)
    log.info("run          %s", run.path)


def _trainer(
    cfg: DictConfig, run: RunFolder, data: DataModule, resuming: bool
) -> tuple[pl.Trainer, Checkpoints, list[Any]]:
    from mmdl.callbacks.batch_size_finder import BatchSizeFinder
    from mmdl.callbacks.checkpoints import Checkpoints
    from mmdl.callbacks.continuation import Continuation
    from mmdl.callbacks.preemption import Preemption
    from mmdl.callbacks.random_state import RandomState
    from mmdl.callbacks.train_log import TrainLog
    from mmdl.runs.jsonl_logger import JsonlLogger
    from mmdl.runs.manifest import git_state
    from mmdl.runs.redact import redact

    callbacks = [instantiate(node) for node in chosen(cfg.callbacks).values()]
    callbacks += [RandomState(), TrainLog(run.progress_file)]
    if resuming:
        optimizer = {key: cfg.optimizer.get(key) for key in ("_target_", "name")}
        callbacks.append(Continuation(bool(cfg.allow_changes), optimizer))
    saver = next((c for c in callbacks if isinstance(c, Checkpoints)), None)
    if saver is None:
        saver = Checkpoints(str(run.checkpoints))
        callbacks.append(saver)
    callbacks.append(Preemption(saver))  # the last: what it saves holds what the others do at a step
    loggers: list[Any] = [JsonlLogger(run.metrics_file)]
    loggers += [instantiate(node) for node in chosen(cfg.logger).values()] if rank() == 0 else []
    code = {"code": git_state(Path.cwd()) | {"mmdl": mmdl.__version__}}
    saver.facts = {"vocabularies": data.vocabularies(), "fingerprints": data.fingerprints()}

    def record() -> None:
        saver.facts["config"] = plain = redact(OmegaConf.to_container(cfg, resolve=True))
        with children_deaf():  # W&B's service starts here
            for logger in loggers:
                logger.log_hyperparams(plain | code)

    def found(changed: dict[str, int]) -> None:
        """What fits into memory is part of the configuration: a run that is continued does not measure again."""
        for key, value in changed.items():
            OmegaConf.update(cfg, key, value)
        if rank() == 0:
            run.write_config(_plain(cfg))
        record()

    if cfg.get("find_batch_size") and not resuming:
        callbacks.insert(0, BatchSizeFinder(cfg.memory_limit_gb, found))
    trainer = build_trainer(cfg, callbacks, loggers)
    record()
    return trainer, saver, loggers


def _plain(cfg: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _cache_features(cfg: DictConfig, task: Task, data: DataModule) -> None:
    """Run frozen towers once, where the data has somewhere to keep their outputs."""
    from mmdl.checking import measure
    from mmdl.data.captions import CaptionDataModule
    from mmdl.data.vqa import VQADataModule
    from mmdl.feature_caching import cache_frozen_towers

    if isinstance(data, VQADataModule | CaptionDataModule) and data.cache_features:
        cached = cache_frozen_towers(task, data, device_of(cfg))
        if cached:
            task.training_flops = measure(task.cpu(), data).training_flops
        if cached and rank() == 0:
            log.info("cached       features of the frozen %s", " and ".join(cached))


def _fit(trainer: pl.Trainer, task: Task, data: DataModule, run: RunFolder, resuming: bool) -> None:
    from mmdl.lean_hooks import lean_hooks
    from mmdl.runs.checkpoint_files import step_of
    from mmdl.runs.jsonl_logger import JsonlLogger
    from mmdl.runs.resume_point import resume_point

    checkpoint = resume_point(trainer, task, run.checkpoints) if resuming else None
    if resuming and rank() == 0:
        if checkpoint is None:
            JsonlLogger(run.metrics_file).rewind(0)
        log.info(
            "resuming     %s",
            f"at step {step_of(checkpoint)}" if checkpoint else "from the start: no checkpoint",
        )
    with lean_hooks(trainer):
        trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)


def _test(
    trainer: pl.Trainer, task: Task, data: DataModule, run: RunFolder, saver: Checkpoints
) -> dict[str, dict[str, Any]]:
    """Write the weights, load the best ones, and run the test split; without one, validation."""
    from mmdl.evaluators.base import qualified
    from mmdl.runs.agreement import failing_together
    from mmdl.runs.evaluation import tuned_on_validation
    from mmdl.runs.resume_point import ending
    from mmdl.runs.run_weights import load_state, store_weights

    final, best, is_best = ending(trainer, task, run.checkpoints, saver.best_name)
    with failing_together(trainer):
        if trainer.is_global_zero:
            store_weights(final, run.checkpoints / "final.safetensors")
            store_weights(best, run.checkpoints / "best.safetensors")
    load_state(task, best)
    split = "test" if data.has_split("test") else "val"
    if split == "test" and data.has_split("val") and tuned_on_validation(task, data):
        # The best weights are those of an earlier step: their figures are no point of the curve.
        task.silent_split = "val"
        _score(trainer, task, data, "val")
        task.silent_split = None
    _score(trainer, task, data, split)
    figures = {
        qualified(result, split): _figure(result.value, result.n, result.ci95)
        for result in task.results[split]
    }
    if saver.best_name and saver.monitor and is_best:
        figures[f"best/{saver.monitor}"] = _figure(saver.best_score)
    figures["best/step"] = _figure(float(best["global_step"]))
    figures["steps"] = _figure(float(final["global_step"]))
    return figures


def _score(trainer: pl.Trainer, task: Task, data: DataModule, split: str) -> None:
    """Evaluate the weights that are in the model: a callback of validation may put others there (EMA does)."""
    task.eval_split, task.data = split, data
    trainer.test(task, dataloaders=data.attached(trainer, split), verbose=False)


def _finish(
    cfg: DictConfig,
    run: RunFolder,
    task: Task,
    data: DataModule,
    loggers: list[Any],
    figures: dict[str, Any],
    notes: list[str],
) -> str:
    """Write summary, predictions and evaluation, end the loggers; returns the card."""
    from mmdl.runs.card import card
    from mmdl.runs.data_report import write_data_report
    from mmdl.runs.evaluation import evaluation_lines, headlines, named, write_baselines, write_evaluation
    from mmdl.runs.item_images import keep_item_images
    from mmdl.runs.tracker_images import log_images
    from mmdl.runs.wandb_end import finish_wandb

    split = "test" if data.has_split("test") else "val"
    data.write_predictions(run.predictions, split, task.outputs, split)
    write_baselines(task, run.predictions, split)
    figures |= {"parameters": _figure(float(sum(p.numel() for p in task.model.parameters())))}
    run.write_summary(figures)
    write_data_report(run.data_report_file, data)
    keep_item_images(run.item_images, run.predictions, split, data, split, MediaLimits.of(cfg.get("media")))
    written = write_evaluation(task, run.evaluation / split)
    run.write_status("finished")
    log_images(loggers, named(written, ".png", f"{split}_figures"), int(figures["steps"]["value"]))
    finish_wandb(loggers, figures, run, split, named(written, ".csv", f"{split}_tables"))
    notes = [*evaluation_lines(task, "notes"), *data.notes(split), *notes]
    if written:
        notes.append(f"evaluation  {written[0].path.parent}")
    shown = headlines(task, split)
    return card(run, figures, split, str(cfg.monitor.name), notes, task.predict_example, shown)
