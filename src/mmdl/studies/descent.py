"""Full-batch, stochastic and mini-batch gradient descent, compared by epochs, by steps and by seconds."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from mmdl.callbacks.descent_curve import PREFIX
from mmdl.errors import UserError
from mmdl.evaluators.base import Artifact
from mmdl.figures.descent import Curve, draw_descent
from mmdl.figures.style import save_png
from mmdl.runs.files import write_text
from mmdl.runs.folder import RunFolder
from mmdl.runs.jsonl_logger import read_metrics
from mmdl.studies.base import Arm, Figures, Report

POINT_COLUMNS = (
    "step",
    "epochs",
    "seconds",
    "train_loss",
    "gradient_noise_scale",
    "gradient_trace",
    "gradient_squared_norm",
)


class _Row(NamedTuple):
    """One arm in the table; empty where a figure was not measured."""

    arm: str
    batch_size: int
    learning_rate: float
    epochs: float
    steps: int
    seconds: float
    ms_per_step: float
    train_loss: float
    val: float
    test: float
    noise_scale_at_start: float
    noise_scale_at_end: float


class DescentStudy:
    """Trains the same model from the same weights on the same data with different batches, for the same epochs.

    It leaves `descent.png`, `descent.csv` (a row an arm) and `descent_curves.csv` (a row a measurement).

    Args:
        arms: Name -> settings that differ; `all` as `data.batch_size` is the whole training set.
    """

    needs_callbacks: ClassVar[tuple[str, ...]] = ("descent_curve",)

    def __init__(self, arms: Mapping[str, Any]) -> None:
        self.arms = arms

    def report(self, run: RunFolder, arms: Sequence[Arm]) -> Report:
        """Write the figure and the tables; the best arm is the one with the best validation."""
        points = {arm.name: read_points(arm.run.metrics_file) for arm in arms}
        rows = [_row(arm, points[arm.name]) for arm in arms]
        mode = str(arms[0].config.monitor.mode)
        best = (max if mode == "max" else min)(rows, key=lambda row: row.val).arm
        write_text(run.path / "descent.csv", _csv(list(_Row._fields), [list(row) for row in rows]))
        cells = [[name, *(p.get(c) for c in POINT_COLUMNS)] for name, ps in points.items() for p in ps]
        write_text(run.path / "descent_curves.csv", _csv(["arm", *POINT_COLUMNS], cells))
        curves = [Curve(_label(row), row.batch_size, points[row.arm]) for row in rows]
        picture = save_png(draw_descent(curves), run.path / "descent.png")
        shown = Artifact(picture, "loss by epochs, steps and seconds, and the gradient-noise scale")
        monitor = str(arms[0].config.monitor.name).removeprefix("val/")
        lines = [*_table(rows, monitor), *_notes(rows, points, picture)]
        return Report(best, _figures(arms, rows, points, monitor), lines, {"descent": shown})


def read_points(metrics: Path) -> list[dict[str, float]]:
    """The measurements of `DescentCurve` in a metrics file, in the order of the steps.

    Args:
        metrics: `metrics.jsonl` of an arm.

    Raises:
        UserError: if there are none.
    """
    found = [
        {"step": row["step"]}
        | {k.removeprefix(f"{PREFIX}/"): float(v) for k, v in row.items() if k.startswith(f"{PREFIX}/")}
        for row in read_metrics(metrics)
        if f"{PREFIX}/train_loss" in row
    ]
    if not found:
        raise UserError(
            f"{metrics} holds no measurements of the descent", fix="callbacks=[default,descent_curve]"
        )
    return sorted(found, key=lambda point: point["step"])


def _row(arm: Arm, points: list[dict[str, float]]) -> _Row:
    summary, config, last = arm.run.read_summary(), arm.config, points[-1]
    name = str(config.monitor.name)
    noise = [point["gradient_noise_scale"] for point in points if "gradient_noise_scale" in point]
    return _Row(
        arm=arm.name,
        batch_size=int(config.data.batch_size) * int(config.trainer.accumulate_grad_batches),
        learning_rate=float(config.optimizer.lr),
        epochs=last["epochs"],
        steps=int(last["step"]),
        seconds=last["seconds"],
        ms_per_step=1000 * last["seconds"] / max(1, last["step"]),
        train_loss=last["train_loss"],
        val=summary[f"best/{name}"]["value"],
        test=summary[name.replace("val/", "test/", 1)]["value"],
        noise_scale_at_start=noise[0] if noise else math.nan,
        noise_scale_at_end=noise[-1] if noise else math.nan,
    )


def _figures(
    arms: Sequence[Arm], rows: Sequence[_Row], points: Mapping[str, list[dict[str, float]]], monitor: str
) -> Figures:
    found: Figures = {}
    for arm, row in zip(arms, rows, strict=True):
        measured = int(points[arm.name][-1]["samples"])
        for name, value, n in (
            ("train_loss", row.train_loss, measured),
            ("steps", float(row.steps), None),
            ("seconds", row.seconds, None),
            ("batch_size", float(row.batch_size), None),
            ("learning_rate", row.learning_rate, None),
            (f"best/val/{monitor}", row.val, None),
            ("gradient_noise_scale", row.noise_scale_at_end, None),
        ):
            if math.isfinite(value):
                found[f"arm/{arm.name}/{name}"] = {"value": value, "n": n, "ci95": None}
        tested = arm.run.read_summary()
        found |= {f"arm/{arm.name}/{k}": v for k, v in tested.items() if k == f"test/{monitor}"}
    return found


def _label(row: _Row) -> str:
    return f"{row.arm.replace('_', ' ')}: batch {row.batch_size:,}, learning rate {row.learning_rate:g}"


def _csv(header: list[str], rows: list[list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _table(rows: Sequence[_Row], monitor: str) -> list[str]:
    """The arms as lines of aligned columns."""
    header = ["arm", "batch", "lr", "steps", "seconds", "ms/step", "train loss", f"val {monitor}"]
    header += [f"test {monitor}", "noise scale, start", "end"]
    cells = [
        [
            row.arm,
            f"{row.batch_size:,}",
            f"{row.learning_rate:g}",
            f"{row.steps:,}",
            f"{row.seconds:.2f}",
            f"{row.ms_per_step:.2f}",
            f"{row.train_loss:.4f}",
            f"{row.val:.4f}",
            f"{row.test:.4f}",
            *(
                "" if math.isnan(n) else f"{n:,.1f}"
                for n in (row.noise_scale_at_start, row.noise_scale_at_end)
            ),
        ]
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [header, *cells]) for column in range(len(header))]
    return [
        "  ".join(
            [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        )
        for line in [header, *cells]
    ]


def _notes(rows: Sequence[_Row], points: Mapping[str, list[dict[str, float]]], picture: Path) -> list[str]:
    """How to read the table."""
    measured = int(points[rows[0].arm][-1]["samples"])
    lines = [
        f"the same data, model, first weights and {rows[0].epochs:g} epochs for all; train loss is the mean over the "
        f"same {measured:,} training images",
        "seconds are of training alone; val and test are of the weights that validation chose",
    ]
    return [*lines, f"figure   {picture}", f"table    {picture.with_suffix('.csv')}"]
