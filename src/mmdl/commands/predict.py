"""Uses a trained run on your own images: classes of an image, answers to questions, or which of some texts fits best.

usage: python -m mmdl predict run=RUN|latest image=FILE|FOLDER
       python -m mmdl predict run=RUN|latest image=FILE question="..."
       python -m mmdl predict run=RUN|latest image=FILE|FOLDER texts="one|another"
       python -m mmdl predict run=RUN image=FOLDER question="..." output=answers.jsonl
       python -m mmdl predict run=RUN input=questions.jsonl output=answers.jsonl

A run that classifies takes images; a VQA run takes a question with them; a contrastive run takes texts, with | between
them, and ranks them: by their softmax over all texts, or each by itself where the run's loss is SigLIP's. One image
prints the most probable classes, answers or texts. A folder, or a JSONL file of {"image", "question"}, gives one JSON
object a line, to `output` or to the console. A line's image is relative to the file's folder.

examples:
  python -m mmdl predict run=latest image=photo.jpg
  python -m mmdl predict run=latest image=photo.jpg question="how many cups are there?"
  python -m mmdl predict run=latest image=photo.jpg texts="a red circle|a blue square"
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mmdl.assembly import build_task, quiet_console, static_errors
from mmdl.errors import UserError, UserErrors


def main(cfg: DictConfig) -> None:
    """Run the verb."""
    quiet_console()
    predictor = _predictor(cfg)
    samples = list(predictor.samples(cfg))
    from mmdl.runs.loading import load_run, load_weights

    loaded = load_run(Path(cfg.root).expanduser(), str(cfg.run), str(cfg.weights))
    if errors := static_errors(loaded.config):
        raise UserErrors(errors)
    import lightning.pytorch as pl

    pl.seed_everything(loaded.config.seed, workers=True, verbose=False)
    task = build_task(loaded.config)
    load_weights(task, loaded)
    records = predictor.predict(cfg, loaded, task, samples)
    _write(cfg, records, predictor.lines if len(samples) == 1 and cfg.input is None else None)


def _predictor(cfg: DictConfig) -> Any:
    """The module of `mmdl.predictors` that has the name of the run's task.

    Raises:
        UserError: if there is none.
    """
    from mmdl.runs.folder import find_run

    run = find_run(Path(cfg.root).expanduser(), str(cfg.run))
    task = str(run.read_config().task._target_)
    name = f"mmdl.predictors.{task.split('.')[-2]}"
    if not task.startswith("mmdl.tasks.") or importlib.util.find_spec(name) is None:
        raise UserError(f"the run {run.id!r} has the task {task}, and mmdl can't predict with it")
    return importlib.import_module(name)


def _write(cfg: DictConfig, records: Iterator[dict[str, Any]], lines: Any) -> None:
    """To `output`; else the lines of a single record, or one JSON object a line."""
    if cfg.output is not None:
        from mmdl.runs.files import write_text

        path = Path(str(cfg.output)).expanduser()
        written = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        write_text(path, "".join(written))
        print(f"{len(written)} {'prediction' if len(written) == 1 else 'predictions'} written to {path}")
        return
    for record in records:
        text = "\n".join(lines(record)) if lines else json.dumps(record, ensure_ascii=False)
        sys.stdout.write(text + "\n")
