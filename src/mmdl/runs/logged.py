"""What a run logs: the one list of names, with unit, direction, and which value of a curve stands for the run."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache
from typing import Literal, NamedTuple

Better = Literal["max", "min", ""]
Summary = Literal["best", "last", "mean", "max"]


class Quantity(NamedTuple):
    """A quantity that runs log, or a family of them.

    Attributes:
        name: Full name; a shell pattern where it is a family (`*` stands for anything, slashes included).
        meaning: One line for a person; empty where nothing is known of the name.
        unit: Such as `samples/s`; empty for fractions, losses and counts.
        better: Whether a larger (`max`) or a smaller (`min`) value is better; empty where neither is.
        summary: Which value of its curve stands for the run: `best` in its direction, `last`, `mean` or `max`.
        measured: It is taken with a clock or from the machine: two runs of one configuration differ in it.
    """

    name: str
    meaning: str
    unit: str = ""
    better: Better = ""
    summary: Summary = "last"
    measured: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it is on the list."""
        return bool(self.meaning)


SPLITS = ("train", "val", "test", "train_eval")
"""First parts of the names of what a split was evaluated to."""

TRAINING = (
    Quantity("epoch", "number of the epoch, from 0"),
    Quantity("trainer/global_step", "optimizer steps so far"),
    Quantity("train/learning_rate", "of the step, the highest of all parameter groups"),
    Quantity("train/learning_rate/*", "of the layer groups that it names, where rates differ"),
    Quantity("train/grad_norm", "Euclidean norm of the whole gradient, before clipping"),
    Quantity("train/samples", "training samples seen so far, over all ranks and starts"),
    Quantity("train/flops", "floating-point operations of the training so far, over all ranks", "FLOP"),
    Quantity("train/samples_per_s", "training samples a second, all ranks", "samples/s", "max", "mean", True),
    Quantity(
        "train/flops_per_s", "operations of the model a second, all ranks", "FLOP/s", "max", "mean", True
    ),
    Quantity("train/flops_share", "that, over the peak of all devices", "", "max", "mean", True),
    Quantity("train/data_wait_share", "share of the time that waits for data", "", "min", "mean", True),
    Quantity(
        "memory/peak_gb", "most memory so far: allocated on the GPU, or resident", "GB", "min", "max", True
    ),
    Quantity("gradient_norm/*", "Euclidean norm of the gradient of a layer group (callback gradient_norms)"),
    Quantity("train/gradient_norm/*", "the same of a tower (callback contrastive_diagnosis)"),
    Quantity("train/chance_level", "contrastive loss of a model that knows nothing"),
    Quantity("train/loss_floor", "least contrastive loss that repeated captions allow"),
    Quantity("train/temperature", "what similarities are divided by"),
    Quantity("train/logit_scale", "what similarities are multiplied by"),
    Quantity("train/logit_bias", "what is added to scaled similarities"),
    Quantity("train/scale_at_clamp", "1 where the scale is at its largest value"),
    Quantity("train/duplicate_positives", "images of a batch that share their id with another one"),
    Quantity("train/repeated_captions", "share of a batch's captions that occur more than once"),
    Quantity("train/positives_per_image", "captions that belong to an image, in a batch"),
    Quantity("train/similarity/*", "mean cosine: positive and negative pairs, different images"),
    Quantity("train/weights_moved/*", "change of a tower's weights since the start, over their size"),
    Quantity("descent/seconds", "seconds of training so far", "s", "", "last", True),
    Quantity("descent/epochs", "passes over the training set so far"),
    Quantity("descent/train_loss", "mean loss over the training set, in eval mode", "", "min", "best"),
    Quantity("descent/*", "loss and gradient noise over the training set (callback descent_curve)"),
)
"""Rows of the training; every `trainer.log_every_n_steps` and at the end of an epoch."""

SCORES = (
    Quantity("*/class/*", "of one class"),
    Quantity("*/best_threshold", "at the threshold of the best F1 on validation", "", "max", "best"),
    Quantity("loss_batch", "images over which a contrastive loss was taken at a time", "images"),
    Quantity(
        "*vqa_accuracy*", "soft accuracy of the answers, by type where that is named", "", "max", "best"
    ),
    Quantity("*recall@*", "share of queries with a right item among the first k", "", "max", "best"),
    Quantity("*median_rank", "median rank of the best right item, from 1", "", "min", "best"),
    Quantity("*top5_accuracy", "right class among the five most probable", "", "max", "best"),
    Quantity("*accuracy", "share of samples that are right", "", "max", "best"),
    Quantity("*loss", "mean over samples", "", "min", "best"),
    Quantity("precision", "mean over classes", "", "max", "best"),
    Quantity("recall", "mean over classes; balanced accuracy", "", "max", "best"),
    Quantity("f1", "mean over classes", "", "max", "best"),
    Quantity("auroc", "area under the ROC curve, mean over classes", "", "max", "best"),
    Quantity("average_precision", "area under precision over recall, mean over classes", "", "max", "best"),
    Quantity("calibration_error", "expected, of the predicted class", "", "min", "best"),
    Quantity("modality_gap", "distance of the means of images and texts"),
    Quantity("alignment", "mean squared distance of a caption and its image", "", "min", "last"),
    Quantity("*_uniformity", "log of the mean Gaussian potential of all pairs", "", "min", "last"),
    Quantity("*_effective_rank", "dimensions that the embeddings fill"),
)
"""Figures of the evaluators, without their split; see `qualified`. A score that is not here has no direction."""

SUMMARY = (
    Quantity("best/step", "optimizer step of the weights that were chosen"),
    Quantity("steps", "optimizer steps"),
    Quantity("parameters", "elements of all parameters"),
    Quantity("skipped_steps", "steps left out for a loss or gradient that was not finite"),
    Quantity("time/wall_s", "the whole command, in its last start", "s", "min", "last", True),
    Quantity("time/fit_s", "training with validation, in its last start", "s", "min", "last", True),
    Quantity("time/train_s", "training without validation, over all starts", "s", "min", "last", True),
    Quantity("cost/samples", "training samples seen, over all ranks and starts"),
    Quantity("cost/flops", "floating-point operations of the training", "FLOP"),
    Quantity(
        "cost/samples_per_s", "training samples a second of `time/train_s`", "samples/s", "max", "mean", True
    ),
    Quantity(
        "cost/flops_share", "FLOP/s of the training over the peak of all devices", "", "max", "mean", True
    ),
    Quantity("cost/peak_memory_gb", "most memory at a time", "GB", "min", "max", True),
    Quantity("curves/*", "epoch, losses and their gap where validation was best, and at the end"),
    Quantity("threshold/best_f1", "probability of the best F1 on validation"),
    Quantity("arm/*/seconds", "training time of an arm of a study", "s", "min", "last", True),
    Quantity("arm/*/train_loss", "mean loss of an arm over the training set, in eval mode", "", "min"),
    Quantity("arm/*/steps", "optimizer steps of an arm"),
    Quantity("arm/*/batch_size", "samples in an optimizer step of an arm", "samples"),
    Quantity("arm/*/learning_rate", "base rate of an arm"),
    Quantity("arm/*/gradient_noise_scale", "at the end of an arm", "samples"),
)
"""Figures of `summary.json` beside those of the evaluation."""

LOGGED: dict[str, Quantity] = {q.name: q for q in (*TRAINING, *SCORES, *SUMMARY)}
"""All of them by name or pattern."""


@cache
def quantity(name: str) -> Quantity:
    """What is known of a full name, as in `metrics.jsonl` or `summary.json`.

    Args:
        name: Any; figures of a split, a baseline, an arm of a study, or the best of a curve included.

    Returns:
        With that name; `is_known` is False, and there is no direction, where it is not on the list.

    >>> quantity("val/text_to_image/recall@1").better, quantity("train/data_wait_share").unit
    ('max', '')
    >>> quantity("best/val/loss").better, quantity("val/surprise").is_known
    ('min', False)
    """
    for known in (*TRAINING, *SUMMARY):
        if fnmatchcase(name, known.name):
            return known._replace(name=name)
    first, _, rest = name.partition("/")
    if first == "arm":
        return quantity(rest.partition("/")[2])._replace(name=name, summary="last")
    if first == "best":
        return quantity(rest)._replace(name=name, summary="last")
    score = re.sub(r"^baseline/[^/]*/", "", name) if first == "baseline" else rest
    if first not in (*SPLITS, "baseline"):
        return Quantity(name, "")
    for known in SCORES:
        if fnmatchcase(score, known.name):
            # what a training step gives is too noisy for its best to say anything; a baseline has one value
            noisy = first in ("train", "baseline")
            return known._replace(name=name, summary="last" if noisy else known.summary)
    return Quantity(name, "")
