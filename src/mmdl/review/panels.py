"""Which panels a review in W&B has, task by task; by names of quantities that mmdl logs, and without W&B."""

from __future__ import annotations

from typing import Literal, NamedTuple

from mmdl.errors import UserError, nearest

STEP = "trainer/global_step"


class Panel(NamedTuple):
    """One panel.

    Attributes:
        kind: `line`: curves, one a run; `band`: mean and deviation of each group; `bar`: final figures; `scatter`: the
            second of two final figures over the first; `table`: rows that a run has logged; `confusion`: a table of
            counts as a matrix; `media`: pictures; `comparer`: where configurations differ; `coordinates`: settings and
            a figure as parallel axes.
        title: Above it.
        names: Quantities, tables or pictures; of `coordinates` keys of the configuration, and the figure at the end.
        is_log: Whether its axes are logarithmic.
    """

    kind: Literal["line", "band", "bar", "scatter", "table", "confusion", "media", "comparer", "coordinates"]
    title: str
    names: tuple[str, ...] = ()
    is_log: bool = False


class Section(NamedTuple):
    """Panels under one heading.

    Attributes:
        title: The heading.
        text: What a reader looks for there.
        panels: From left to right.
    """

    title: str
    text: str
    panels: tuple[Panel, ...]


class View(NamedTuple):
    """What a task has of its own.

    Attributes:
        score: The figure that runs are judged by, without its split.
        others: Further figures.
        baseline: What the score is held against.
        curves: Further curves of the training.
        wrong: Panels that show single items.
    """

    score: str
    others: tuple[str, ...]
    baseline: str
    curves: tuple[Panel, ...]
    wrong: tuple[Panel, ...]


TASKS = {
    "vqa": View(
        score="vqa_accuracy",
        others=tuple(f"vqa_accuracy/answer_type/{name}" for name in ("yes_no", "number", "other")),
        baseline="baseline/question_only/vqa_accuracy",
        curves=(
            Panel(
                "line",
                "Validation by answer type",
                tuple(f"val/vqa_accuracy/answer_type/{name}" for name in ("yes_no", "number", "other")),
            ),
        ),
        wrong=(Panel("table", "Questions, answers and scores, by answer type", ("predictions",)),),
    ),
    "classification": View(
        score="accuracy",
        others=("f1", "auroc", "calibration_error"),
        baseline="baseline/most_common/accuracy",
        curves=(Panel("line", "Calibration error", ("val/calibration_error",)),),
        wrong=(
            Panel("confusion", "Confusion matrix", ("test_tables/confusion_matrix",)),
            Panel("table", "Most confident mistakes", ("predictions",)),
            Panel("table", "Scores a class", ("test_tables/per_class",)),
            Panel(
                "media",
                "Confusion matrix, calibration, ROC",
                tuple(f"test_figures/{name}" for name in ("confusion_matrix", "reliability", "roc")),
            ),
        ),
    ),
    "contrastive": View(
        score="text_to_image/recall@1",
        others=("image_to_text/recall@1", "text_to_image/recall@5", "text_to_image/median_rank"),
        baseline="baseline/chance/text_to_image/recall@1",
        curves=(
            Panel("line", "Loss and its chance level", ("train/loss", "train/chance_level")),
            Panel("line", "Similarities", ("train/similarity/positive", "train/similarity/negative")),
        ),
        wrong=(
            Panel("table", "Captions and the images found", ("predictions/text_to_image",)),
            Panel("table", "Images and the captions found", ("predictions/image_to_text",)),
            Panel("media", "Retrieval grids", ("test_figures/text_to_image", "test_figures/image_to_text")),
        ),
    ),
}
"""Task, by the stem of its config -> what its review shows."""


def review_sections(task: str) -> list[Section]:
    """The sections of a review.

    Args:
        task: Of `TASKS`.

    Raises:
        UserError: if there is no such task.
    """
    if task not in TASKS:
        raise UserError(
            f"there is no review of the task {task!r}", valid=nearest(task, TASKS), fix="--task vqa"
        )
    view = TASKS[task]
    score, test = f"val/{view.score}", f"test/{view.score}"
    return [
        Section(
            "Scores",
            "Which run is better: single runs, and groups with their deviation over seeds.",
            (
                Panel("band", f"{score}, mean and deviation of each group", (score,)),
                Panel("line", f"{score}, each run", (score,)),
                Panel("bar", f"{test} and its baseline", (test, view.baseline)),
                Panel("bar", "Further figures on test", tuple(f"test/{name}" for name in view.others)),
            ),
        ),
        Section("What it gets wrong", "Single items, as on the run's own page.", view.wrong),
        Section(
            "Score against cost",
            "What a point of score costs, in time, samples and operations.",
            (
                Panel("scatter", "Score over training time", ("time/fit_s", test), True),
                Panel("scatter", "Score over training samples", ("cost/samples", test), True),
                Panel("scatter", "Score over operations", ("cost/flops", test), True),
            ),
        ),
        Section(
            "Training",
            "Whether it learns, and what limits it.",
            (
                Panel("line", "Training loss", ("train/loss",), True),
                Panel("line", "Validation loss", ("val/loss",), True),
                *view.curves,
                Panel("line", "Learning rate", ("train/learning_rate",)),
                Panel("line", "Gradient norm", ("train/grad_norm",), True),
            ),
        ),
        Section(
            "Throughput and memory",
            "Where time goes.",
            (
                Panel("line", "Samples a second", ("train/samples_per_s",)),
                Panel("line", "Share of the peak FLOP/s", ("train/flops_share",)),
                Panel("line", "Share of time that waits for data", ("train/data_wait_share",)),
                Panel("line", "Most memory so far", ("memory/peak_gb",)),
            ),
        ),
        Section(
            "How to reproduce",
            "What differs between the configurations.",
            (
                Panel("comparer", "Configurations"),
                Panel("coordinates", "Settings and score", ("optimizer.lr", "data.batch_size", "seed", test)),
            ),
        ),
    ]


def quantities(sections: list[Section]) -> set[str]:
    """Names of all scalars in them."""
    scalars = ("line", "band", "bar", "scatter")
    found = {name for s in sections for p in s.panels if p.kind in scalars for name in p.names}
    last = {p.names[-1] for s in sections for p in s.panels if p.kind == "coordinates"}
    return found | last


def media(sections: list[Section]) -> set[str]:
    """Names of all tables and pictures in them."""
    kinds = ("table", "confusion", "media")
    return {name for s in sections for p in s.panels if p.kind in kinds for name in p.names}
