"""Evaluates a run on its own data, exactly as at the end of its training, or on other data.

usage: python -m mmdl eval run=RUN|latest [data=NAME] [KEY=VALUE ...]

It prints the figures, and writes predictions per sample (for VQA the official results file too,
`[{"question_id", "answer"}]`) into the run's folder `predictions/`, or into `output=`.

common overrides:
  split=val                     another split
  data=vqa_json data.test=FILE  other data; the answers and the tokenizer stay those of the run
  +data.root=FOLDER             the run's data, with a changed key
  weights=last                  best, last, or a checkpoint file

examples:
  python -m mmdl eval run=latest
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from mmdl.assembly import (
    build_data,
    build_evaluators,
    build_task,
    build_trainer,
    quiet_console,
    static_errors,
)
from mmdl.errors import UserError, UserErrors, nearest

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
    if errors := static_errors(config):
        raise UserErrors(errors)
    import lightning.pytorch as pl

    from mmdl.callbacks.progress import Progress
    from mmdl.evaluators.base import qualified
    from mmdl.runs.card import figure_text

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
    load_weights(task, loaded)
    # The baselines need training and are in the run's summary already.
    task.evaluators = {n: e for n, e in build_evaluators(config).items() if not getattr(e, "trains", False)}
    trainer = build_trainer(config, [Progress()])
    task.eval_split, task.data = split, data
    trainer.test(task, dataloaders=data.attached(trainer, split), verbose=False)
    results = task.results[split]
    figures = {qualified(r, split): r for r in results}
    width = max((len(name) for name in figures), default=0)
    output = Path(cfg.output).expanduser() if cfg.output else loaded.run.predictions
    if trainer.is_global_zero:
        output.mkdir(parents=True, exist_ok=True)
        data.write_predictions(
            output, split if not others_data else f"{others_data}-{split}", task.outputs, split
        )
        for name, result in figures.items():
            if name.count("/") <= 1 or "/answer_type/" in name:
                print(f"{name:{width}}  {figure_text(result._asdict())}")
        print("\n".join(data.notes(split)))
        if not others_data:
            _compare(loaded.run.read_summary(), figures, width)
        print(f"written to {output}")
    main_figure = figures.get(str(config.monitor.name).replace("val/", f"{split}/", 1))
    return main_figure.value if main_figure else None


def _take_data(cfg: DictConfig, config: DictConfig) -> str:
    """Put the data of the command line into the run's configuration; returns its name, empty for the run's own."""
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
        if key in config.data:
            plain[key] = config.data[key]
    config.data = plain
    return str(plain["_target_"]).rsplit(".", 1)[1]


def _compare(summary: dict[str, dict[str, float]], figures: Mapping[str, object], width: int) -> None:
    """The baselines that the run recorded."""
    from mmdl.runs.card import figure_text

    for name, figure in summary.items():
        if name.startswith("baseline/") and name not in figures:
            print(f"{name:{width}}  {figure_text(figure)}")
