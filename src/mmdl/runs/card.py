"""The last thing that a run prints: the score with its interval, the baselines, the time, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmdl.runs.durations import duration
from mmdl.runs.folder import RunFolder


def figure_text(figure: Mapping[str, Any]) -> str:
    """A figure with its interval and count.

    >>> figure_text({"value": 0.95, "n": 1000, "ci95": [0.94, 0.96]})
    '0.9500  95% interval [0.9400, 0.9600]  n = 1,000'
    """
    text = f"{figure['value']:.4f}"
    if figure.get("ci95"):
        text += "  95% interval [{:.4f}, {:.4f}]".format(*figure["ci95"])
    if figure.get("n") is not None:
        text += f"  n = {figure['n']:,}"
    return text


def card(
    run: RunFolder,
    figures: Mapping[str, Any],
    split: str,
    monitor: str,
    notes: Sequence[str] = (),
    predict_example: str = "image=FILE",
    headlines: Sequence[str] = (),
) -> str:
    """The card of a finished run.

    Args:
        run: Its folder.
        figures: Name -> `{"value", "n", "ci95"}`.
        split: The split that was scored.
        monitor: The validation figure that chose the weights.
        notes: Further lines, such as the scoring rule.
        predict_example: What `predict` needs besides the run.
        headlines: Further figures to show, by full name; those that the run does not have are passed over.
    """
    main = monitor.replace("val/", f"{split}/", 1)
    shown = [name for name in dict.fromkeys((main, *headlines)) if name in figures]
    shown += [name for name in figures if name.startswith("baseline/")]
    shown += [name for name in figures if name.startswith(f"{main}/answer_type/")]
    width = max((len(name) for name in shown), default=10)
    lines = ["", *(f"{name:{width}}  {figure_text(figures[name])}" for name in shown)]
    baseline = figures.get("baseline/question_only/vqa_accuracy")
    if main in figures and baseline is not None:
        lines.append(f"{'the image adds':{width}}  {figures[main]['value'] - baseline['value']:+.4f}")
    lines += notes
    lines += [
        f"time     {duration(figures['time/wall_s']['value'])}, "
        f"{duration(figures['time/fit_s']['value'])} of it training",
        f"weights  {run.checkpoints / 'best.safetensors'}",
        f"next     python -m mmdl eval run={run.id}",
        f"         python -m mmdl predict run={run.id} {predict_example}",
        f"         python -m mmdl review {run.id}",
    ]
    return "\n".join(lines)
