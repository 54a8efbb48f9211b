"""Evaluates a run on its own data, exactly as at the end of its training, or on other data.

usage: python -m mmdl eval run=RUN|latest [data=NAME] [KEY=VALUE ...]

It prints the figures, and writes predictions per sample (for VQA the official results file too,
`[{"question_id", "answer"}]`) into the run's folder `predictions/`, `figures.json`, tables and pictures (for
classification: confusion matrix, scores a class, calibration, ROC) into `evaluation/`, and small images of the samples
into `media/items/`; or all into `output=`.

common overrides:
  split=val                     another split
  data=vqa_json data.test=FILE  other data; the answers and the tokenizer stay those of the run
  +data.root=FOLDER             the run's data, with a changed key
  weights=last                  best, last, or a checkpoint file
  +trainer.devices=4            several ranks; the figures are those of one process, which is the default
  evaluator=[knn] +data@evaluator.knn.sets.digits.data=digits
                                other evaluators than the run's own
  logger=wandb                  send the result to W&B too: a run of job type eval in the group of the training

examples:
  python -m mmdl eval run=latest
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from mmdl.assembly import (
    build_data,
    build_evaluators,
    build_task,
    build_trainer,
    chosen,
    num_ranks,
    quiet_console,
    static_errors,
)
from mmdl.clusters.launch import under_srun, under_torchrun
from mmdl.errors import UserError, UserErrors, nearest
from mmdl.instantiate import instantiate
from mmdl.runs.media_limits import MediaLimits, media_errors
from mmdl.runs.redact import redact

if TYPE_CHECKING:
    from mmdl.data.base import DataModule
    from mmdl.evaluators.base import Artifact, Result
    from mmdl.runs.folder import RunFolder
    from mmdl.tasks.base import Task

SPLITS = ("train", "val", "test")

MODEL_VIEW = (
    "image_size",
    "resize",
    "channels",
    "mean",
    "std",
    "num_classes",
    "tokenizer",
    "num_answers",
    "vocab_size",
)
"""Keys of the data that the model was made for: other data is brought to them."""


def main(cfg: DictConfig) -> float | None:
    """Run the verb."""
    quiet_console()
    from mmdl.runs.loading import load_run, load_weights

    loaded = load_run(Path(cfg.root).expanduser(), str(cfg.run), str(cfg.weights))
    config = loaded.config
    others_data = _take_data(cfg, config)
    others = _take_evaluators(cfg, config)
    _take_loggers(cfg, config)
    if cfg.get("media") is not None:
        config.media = OmegaConf.merge(config.get("media") or {}, cfg.media)
    if errors := static_errors(config) + media_errors(config.get("media")):
        raise UserErrors(errors)
    import lightning.pytorch as pl

    from mmdl.callbacks.progress import Progress
    from mmdl.checking import batch_errors, first_batch
    from mmdl.evaluators.base import qualified
    from mmdl.runs.evaluation import check_evaluators, headlines
    from mmdl.runs.lost_ranks import lost_ranks

    pl.seed_everything(config.seed, workers=True, verbose=False)
    split = str(cfg.split)
    if split not in SPLITS:
        raise UserError(f"split={split} is not a split", valid=nearest(split, SPLITS), fix="split=test")
    data = build_data(config, loaded.vocabularies, [split])
    if not data.has_split(split):
        raise UserError(
            f"the data has no split {split!r}", valid="data with that split", fix="split=test, or data=NAME"
        )
    task = build_task(config)
    if errors := batch_errors(data, task.model, first_batch(data, split)):
        raise UserErrors(errors)
    load_weights(task, loaded)
    # The baselines need training and are in the run's summary already.
    task.evaluators = {n: e for n, e in build_evaluators(config).items() if not getattr(e, "trains", False)}
    if others:
        check_evaluators(task.evaluators.values(), data)
    trainer = build_trainer(config, [Progress()])
    task.eval_split, task.data, task.recorded = split, data, loaded.run.read_summary()
    try:
        trainer.test(task, dataloaders=data.attached(trainer, split), verbose=False)
    except RuntimeError as error:
        lost = lost_ranks(error, loaded.run.stacks, f"python -m mmdl eval run={loaded.run.id}")
        raise lost or error from error
    figures = {qualified(r, split): r for r in task.results[split]}
    if trainer.is_global_zero:
        recorded = {} if others_data or others else task.recorded
        _print_figures(figures, recorded, headlines(task, split))
        name = "-".join([*([others_data] if others_data else []), split, *others])
        written = _write_and_explain(cfg, config, task, data, loaded.run, name, figures)
        _send(config, loaded.run, name, figures, written)
    main_figure = figures.get(str(config.monitor.name).replace("val/", f"{split}/", 1))
    return main_figure.value if main_figure else None


def _take_data(cfg: DictConfig, config: DictConfig) -> str:
    """Put the data of the command line into the run's configuration; returns its name, empty for the run's own."""
    if num_ranks(config.trainer) > 1 and not (under_srun() or under_torchrun()):
        config.trainer.devices, config.trainer.num_nodes = 1, 1  # the figures are those of many ranks
    if cfg.get("trainer") is not None:
        config.trainer = OmegaConf.merge(config.trainer, cfg.trainer)
    given = cfg.get("data")
    if given is None:
        return ""
    plain = OmegaConf.to_container(given, resolve=True)
    assert isinstance(plain, dict)
    if "_target_" not in plain:
        config.data = OmegaConf.merge(config.data, plain)
        return "changed"
    # The model's own view of the data stays: size and channels of the images, tokens, classes.
    for key in MODEL_VIEW:
        if key in config.data and key in plain:
            plain[key] = config.data[key]
    config.data = plain
    return str(plain["_target_"]).rsplit(".", 1)[1]


def _take_evaluators(cfg: DictConfig, config: DictConfig) -> list[str]:
    """Put the evaluators of the command line in the place of the run's own; returns their names."""
    given = cfg.get("evaluator")
    if given is None:
        return []
    # not resolved: what it refers to, such as ${model.question_tower}, stands in the run's configuration
    config.evaluator = OmegaConf.to_container(given, resolve=False)
    return sorted(map(str, given))


def _take_loggers(cfg: DictConfig, config: DictConfig) -> None:
    """Put the loggers of the command line into the run's configuration, in the place of the training's.

    Raises:
        UserError: if one would write into the training's own files.
    """
    given = chosen(cfg.get("logger"))
    for name in given:
        if name != "wandb":
            raise UserError(
                f"logger={name} would write into the files of the training",
                valid="wandb, or none: figures, tables and pictures are files in any case",
                fix="logger=wandb",
            )
    # not resolved: what it refers to stands in the run's configuration
    config.logger = OmegaConf.to_container(cfg.logger, resolve=False) if given else {}


def _print_figures(
    figures: Mapping[str, Result], recorded: Mapping[str, Any], headlines: Sequence[str]
) -> None:
    """The overall figures, and the baselines: those that the run recorded where they were not taken again."""
    from mmdl.runs.card import figure_text

    shown = {
        name: dict(result._asdict())
        for name, result in figures.items()
        if name.count("/") <= 1
        or "/answer_type/" in name
        or name.startswith("baseline/")
        or name in headlines
    }
    shown |= {n: figure for n, figure in recorded.items() if n.startswith("baseline/") and n not in shown}
    width = max((len(name) for name in shown), default=0)
    for name, figure in shown.items():
        print(f"{name:{width}}  {figure_text(figure)}")


def _write_and_explain(
    cfg: DictConfig,
    config: DictConfig,
    task: Task,
    data: DataModule,
    run: RunFolder,
    name: str,
    figures: Mapping[str, Result],
) -> list[Artifact]:
    """Predictions and evaluation, under a name for the data, and the lines beside the figures; returns its files."""
    from mmdl.runs.evaluation import evaluation_lines, write_baselines, write_evaluation
    from mmdl.runs.files import write_json
    from mmdl.runs.item_images import keep_item_images

    split = task.eval_split
    output = Path(cfg.output).expanduser() if cfg.output else None
    predictions = output or run.predictions
    predictions.mkdir(parents=True, exist_ok=True)
    data.write_predictions(predictions, name, task.outputs, split)
    write_baselines(task, predictions, name)
    limits = MediaLimits.of(config.get("media"))
    keep_item_images((output or run.path) / "media" / "items", predictions, name, data, split, limits)
    folder = (output / "evaluation" if output else run.evaluation) / name
    written = write_evaluation(task, folder)
    found = {key: {"value": f.value, "n": f.n, "ci95": f.ci95} for key, f in figures.items()}
    write_json(folder / "figures.json", found)
    lines = [*evaluation_lines(task, "table"), *evaluation_lines(task, "notes"), *data.notes(split)]
    print("\n".join(lines))
    print(f"written to {predictions} and {folder}")
    return written


def _send(
    config: DictConfig, run: RunFolder, name: str, figures: Mapping[str, Result], written: Sequence[Artifact]
) -> None:
    """What was found to W&B, if that was asked for: a run of its own beside the training's; it has no steps."""
    from mmdl.runs.evaluation import named
    from mmdl.runs.tracker_images import log_images
    from mmdl.runs.wandb_end import finish_wandb
    from mmdl.runs.wandb_filing import file_as

    file_as(config.logger, "eval", run_id=f"{run.id}.eval-{name}")
    loggers = [instantiate(node) for node in chosen(config.logger).values()]
    for logger in loggers:
        logger.log_hyperparams(redact(OmegaConf.to_container(config, resolve=True)))
    log_images(loggers, named(written, ".png", f"{name}_figures"), step=0)
    flat = {key: {"value": f.value, "n": f.n, "ci95": f.ci95} for key, f in figures.items()}
    finish_wandb(loggers, flat, run, name, named(written, ".csv", f"{name}_tables"))
