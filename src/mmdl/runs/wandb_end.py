"""The end of a run in W&B: summary, tables, artifacts; all of it read from what lies in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from mmdl.evaluators.base import Artifact
from mmdl.runs.folder import RunFolder, rank
from mmdl.runs.item_tables import ItemTable, Picture, item_tables
from mmdl.runs.probe_table import probe_table
from mmdl.runs.tracker_end import tracker_may_end
from mmdl.runs.wandb_artifacts import log_artifacts
from mmdl.runs.wandb_charts import table_chart
from mmdl.runs.wandb_logger import PatientWandbLogger


def finish_wandb(
    loggers: list[Any],
    figures: Mapping[str, Any],
    run: RunFolder,
    name: str | None = None,
    tables: Mapping[str, Artifact] | None = None,
) -> None:
    """Write the summary, the table of predictions, the evaluators' tables and the artifacts, and end the W&B run.

    Args:
        loggers: The run's loggers; others than W&B's are passed over.
        figures: Name -> `{"value", "n", "ci95"}`.
        run: Its folder, in which everything is written already.
        name: Of the predictions there, such as `test`; None: there are none.
        tables: Name -> `.csv` file of an evaluator; the confusion matrix becomes a chart.
    """
    for logger in loggers:
        if not isinstance(logger, WandbLogger) or rank() != 0:
            continue
        if not getattr(logger, "lost", False):
            with tracker_may_end(logger):
                _finish(logger, figures, run, name, tables or {})


def _finish(
    logger: Any,
    figures: Mapping[str, Any],
    folder: RunFolder,
    name: str | None,
    tables: Mapping[str, Artifact],
) -> None:
    run = logger.experiment
    if getattr(run, "disabled", False):  # WANDB_MODE=disabled
        run.finish()
        return
    summary = flat_summary(figures)
    if isinstance(logger, PatientWandbLogger):
        logger.curves.finish(summary)
    run.summary.update(summary)
    if name is not None:
        shown = item_tables(folder.path, name)
        probe = probe_table(folder.path)
        if probe is not None:
            shown["probe"] = probe
        if shown:
            run.log({key: _wandb_table(table) for key, table in shown.items()})
    charts = {key: chart for key, file in tables.items() if (chart := table_chart(file)) is not None}
    if charts:
        run.log(charts)
    if isinstance(logger, PatientWandbLogger):
        log_artifacts(
            run,
            folder.path,
            logger.artifacts,
            name=name or "test",
            limit_mb=logger.artifact_limit_mb,
            metadata=_facts(logger, figures, folder),
            is_best=f"best/{logger.curves.monitor}" in figures,
        )
    run.finish()


def flat_summary(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures as W&B's summary has them: `name`, `name/n`, `name/ci95_low` and `name/ci95_high`.

    >>> flat_summary({"test/accuracy": {"value": 0.5, "n": 4, "ci95": [0.1, 0.9]}})
    {'test/accuracy': 0.5, 'test/accuracy/n': 4, 'test/accuracy/ci95_low': 0.1, 'test/accuracy/ci95_high': 0.9}
    """
    found: dict[str, Any] = {}
    for name, figure in figures.items():
        found[name] = figure["value"]
        if figure.get("n") is not None:
            found[f"{name}/n"] = figure["n"]
        if figure.get("ci95") is not None:
            found[f"{name}/ci95_low"], found[f"{name}/ci95_high"] = figure["ci95"]
    return found


def _facts(logger: PatientWandbLogger, figures: Mapping[str, Any], folder: RunFolder) -> dict[str, Any]:
    """What is known of a run's weights, for whoever finds the artifact alone."""
    monitor = logger.curves.monitor
    metric = (monitor or "").replace("val/", "test/", 1)
    found: dict[str, Any] = {"run": folder.id, "monitor": monitor}
    if metric in figures:
        found |= {"metric": metric, **figures[metric]}
    for key, name in (("monitored", f"best/{monitor}"), ("step", "best/step")):
        if name in figures:
            found[key] = figures[name]["value"]
    manifest = folder.read_manifest()
    return found | {"commit": (manifest.get("mmdl_git") or {}).get("commit"), "data": manifest.get("data")}


def _wandb_table(table: ItemTable) -> Any:
    import wandb

    return wandb.Table(columns=table.columns, data=[[_cell(cell) for cell in row] for row in table.rows])


def _cell(cell: Any) -> Any:
    import wandb

    if isinstance(cell, Picture):
        return wandb.Image(str(cell.path), caption=cell.caption or None)
    return str(cell) if isinstance(cell, Path) else cell
