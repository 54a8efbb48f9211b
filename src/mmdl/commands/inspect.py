"""Shows what a trained classifier does with one image, stage by stage, as a web page and pictures.

usage: python -m mmdl inspect run=RUN|latest image=FILE [label=CLASS]
       python -m mmdl inspect run=RUN|latest sample=test:17
       python -m mmdl inspect run=RUN|latest sample=test:17 gradients=true

The page needs no server and no network. It shows the table of the stages, the filters, the feature maps after every
convolution, ReLU and pooling, the flattened vector, the outputs of the fully connected layers, the softmax, and which
pixels the answer depends on (saliency, Grad-CAM). It is written with its pictures into the run's folder
`inspect/NAME/`, or into `output=`.

A sample of the run's own data is named by split and row (`test:17`) or by its id as in predictions/*.jsonl; its true
class is known then. For an image of your own `label=` says it.

`gradients=true` adds the forward and backward pass in numbers, the gradient of the loss, the Jacobian of the outputs
with respect to the pixels, and the chain rule; all of it is checked against finite differences or another way to
compute the same. The exit code is 1 where a check fails.

common overrides:
  weights=last                  best, last, or a checkpoint file
  +data.root=FOLDER             where the run's data lies now, for sample=
  output=FOLDER                 where to write

examples:
  python -m mmdl inspect run=latest image=photo.jpg
  python -m mmdl inspect run=latest sample=test:17 gradients=true
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from omegaconf import DictConfig, OmegaConf

from mmdl.assembly import build_task, quiet_console, static_errors
from mmdl.errors import UserError, UserErrors

if TYPE_CHECKING:
    from mmdl.inspection.calculus import Calculus
    from mmdl.inspection.subject import Subject
    from mmdl.runs.loading import LoadedRun
    from mmdl.tasks.classification import ClassificationTask

EXIT_CHECK_FAILED = 1


def main(cfg: DictConfig) -> None:
    """Run the verb."""
    quiet_console()
    _check(cfg)
    from mmdl.runs.loading import load_run, load_weights

    loaded = load_run(Path(cfg.root).expanduser(), str(cfg.run), str(cfg.weights))
    if cfg.get("data") is not None:
        if "_target_" in cfg.data:
            raise UserError(
                "data= was given, and inspect takes samples of the run's own data",
                valid="+data.root=FOLDER where that data has moved, or image=FILE for any other image",
            )
        loaded.config.data = OmegaConf.merge(loaded.config.data, cfg.data)
    if errors := static_errors(loaded.config):
        raise UserErrors(errors)
    subject = _subject(cfg, loaded)
    task = build_task(loaded.config)
    load_weights(task, loaded)
    assert _is_classification(task)
    _inspect(cfg, loaded, task, subject)


def _check(cfg: DictConfig) -> None:
    """What can be told before anything heavy is loaded."""
    from mmdl.runs.folder import find_run

    run = find_run(Path(cfg.root).expanduser(), str(cfg.run))
    task = str(run.read_config().task._target_)
    if task != "mmdl.tasks.classification.ClassificationTask":
        raise UserError(
            f"the run {run.id!r} has the task {task}, and inspect looks into image classifiers",
            valid="a run that classifies images",
            fix="python -m mmdl train +experiment=mnist",
        )
    given = [name for name in ("image", "sample") if cfg[name] is not None]
    if len(given) != 1:
        raise UserError(
            "neither image= nor sample= was given" if not given else "image= and sample= were given both",
            valid="image=FILE, or sample=SPLIT:ROW for an image of the run's own data",
            fix=f"python -m mmdl inspect run={cfg.run} sample=test:0",
        )


def _subject(cfg: DictConfig, loaded: LoadedRun) -> Subject:
    """The image, with the label that the command line gives it."""
    from mmdl.inspection.subject import from_data, from_file, label_index, looks_like_a_sample

    classes: list[str] = loaded.vocabularies["classes"]
    label = None if cfg.label is None else label_index(classes, str(cfg.label))
    if cfg.sample is not None:
        subject = from_data(str(cfg.sample), loaded)
    elif not Path(str(cfg.image)).expanduser().exists() and looks_like_a_sample(str(cfg.image)):
        subject = from_data(str(cfg.image), loaded)
    else:
        subject = from_file(Path(str(cfg.image)).expanduser(), loaded.config)
    return subject if label is None else subject._replace(label=label, label_source="given by label=")


def _inspect(cfg: DictConfig, loaded: LoadedRun, task: ClassificationTask, subject: Subject) -> None:
    from mmdl.inspection.checks import report_lines
    from mmdl.inspection.forward import forward
    from mmdl.inspection.prediction_line import prediction_line
    from mmdl.inspection.report import inspection_facts, report
    from mmdl.inspection.writing import write_inspection

    classes: list[str] = loaded.vocabularies["classes"]
    found = forward(task.model, subject.image, subject.label)
    print(prediction_line(classes, found.probabilities))
    if subject.label is not None:
        print(f"true class  {classes[subject.label]} ({subject.label_source})")
    derived: Calculus | None = None
    source = subject.label_source if subject.label is not None else "the predicted class: no label was given"
    if cfg.gradients:
        from mmdl.inspection.calculus import calculus

        label = subject.label if subject.label is not None else found.top
        derived = calculus(task.model, subject.image, label, task.label_smoothing)
    remarks = []
    if task.test_time_augmentation != "none":
        remarks.append(
            f"The run averages its answer over several views of an image ({task.test_time_augmentation}); "
            "here is one of them, the image itself."
        )
    page = report(
        subject,
        classes,
        found,
        type(task.model).__name__,
        [("run", loaded.run.id), ("weights", loaded.path.name)],
        derived,
        source,
        remarks,
    )
    folder = Path(str(cfg.output)).expanduser() if cfg.output else loaded.run.path / "inspect" / subject.name
    facts = {"run": loaded.run.id, "weights": loaded.path.name}
    pictures = write_inspection(folder, page, facts | inspection_facts(subject, classes, found, derived))
    if derived is not None:
        print(f"loss        {derived.gradient.loss:.6g}, for {classes[derived.network.label]} ({source})")
        print("\n".join(report_lines(derived.checks)))
    print(f"page        {folder / 'index.html'}")
    print(f"pictures    {len(pictures)} PNG files in {folder}")
    failed = [check for check in derived.checks if not check.passed] if derived is not None else []
    if failed:
        names = "; ".join(check.name for check in failed)
        sys.stdout.flush()
        print(
            f"error: {len(failed)} of {len(derived.checks if derived else ())} checks failed: {names}",
            file=sys.stderr,
        )
        raise SystemExit(EXIT_CHECK_FAILED)


def _is_classification(task: object) -> TypeGuard[ClassificationTask]:
    from mmdl.tasks.classification import ClassificationTask

    return isinstance(task, ClassificationTask)
