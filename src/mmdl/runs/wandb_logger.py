"""Weights & Biases without surprises: offline where nobody is logged in, never a prompt, all in the run folder."""

from __future__ import annotations

import logging
import netrc
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from lightning.pytorch.loggers import WandbLogger

from mmdl.evaluators.base import Artifact
from mmdl.runs.folder import rank
from mmdl.runs.tracker_end import tracker_may_end
from mmdl.runs.wandb_charts import table_chart

log = logging.getLogger("mmdl")

OFFLINE_MODES = ("offline", "dryrun", "disabled")


def offline_reason(timeout: float = 2.0) -> str | None:
    """Why W&B can't be reached, or None where it can.

    Args:
        timeout: Seconds to wait for its server.
    """
    mode = os.environ.get("WANDB_MODE", "").lower()
    if mode in OFFLINE_MODES:
        return f"WANDB_MODE={mode}"
    base = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    host = base.hostname or "api.wandb.ai"
    if not os.environ.get("WANDB_API_KEY") and not _in_netrc(host):
        return "not logged in"
    try:
        socket.create_connection(
            (host, base.port or (443 if base.scheme == "https" else 80)), timeout
        ).close()
    except OSError:
        return f"{host} can't be reached"
    return None


def _in_netrc(host: str) -> bool:
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


class PatientWandbLogger(WandbLogger):
    """A `WandbLogger` that outlives W&B's service, and says nothing more to it then."""

    lost = False
    """Whether the service is gone."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send figures, while there is a service."""
        if not self.lost:
            with tracker_may_end(self):
                super().log_metrics(metrics, step)


def wandb_logger(
    dir: str,  # noqa: A002 - wandb's own name for it
    run_id: str,
    project: str = "mmdl",
    entity: str | None = None,
    name: str | None = None,
    group: str | None = None,
    job_type: str | None = "train",
    tags: list[str] | None = None,
    offline: bool | None = None,
) -> PatientWandbLogger:
    """Lightning's `WandbLogger`, continued under the run's id.

    Args:
        dir: The run folder; media and caches stay inside it too.
        run_id: W&B's id of the run: the run folder's name.
        project: Project.
        entity: User or team; None takes the default.
        name: Display name; None takes the run id.
        group: Group of runs, such as the experiment.
        job_type: Kind of job.
        tags: Tags.
        offline: None decides by whether W&B can be reached.
    """
    # Before wandb is imported: its own lines say nothing that ours don't.
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    # Images of an offline table would otherwise lie outside the run folder (wandb #4611).
    os.environ.setdefault("WANDB_DATA_DIR", str(Path(dir) / "wandb" / "data"))
    os.environ.setdefault("WANDB_CACHE_DIR", str(Path(dir) / "wandb" / "cache"))
    for variable in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        Path(os.environ[variable]).mkdir(parents=True, exist_ok=True)
    reason = "logger.wandb.offline=true" if offline else offline_reason() if offline is None else None
    if reason is not None and rank() == 0:
        log.info("W&B: offline (%s); to send it later: wandb sync %s/wandb/offline-run-*", reason, dir)
    wandb_id = run_id.replace("=", "-").replace("+", "-")
    logger = PatientWandbLogger(
        project=project,
        entity=entity,
        name=name or run_id,
        id=wandb_id,
        resume="allow",
        save_dir=dir,
        offline=reason is not None,
        group=group,
        job_type=job_type,
        tags=tags or [],
        settings=wandb.Settings(silent=True, console="off"),
    )
    # Lightning always passes it, and wandb warns of it on the console although it is not set.
    logger._wandb_init.pop("anonymous", None)
    return logger


def finish_wandb(
    loggers: list[Any],
    figures: dict[str, Any],
    table: dict[str, Any] | None,
    tables: Mapping[str, Artifact] | None = None,
) -> None:
    """Write the summary, the table of predictions and the evaluators' tables to the W&B run, and end it.

    Args:
        loggers: The run's loggers; others than W&B's are passed over.
        figures: Name -> `{"value", "n", "ci95"}`.
        table: `columns` and `rows` of predictions; a `Path` or an array in a row becomes an image.
        tables: Name -> `.csv` file of an evaluator; the confusion matrix becomes a chart.
    """
    for logger in loggers:
        if not isinstance(logger, WandbLogger) or rank() != 0:
            continue
        if not getattr(logger, "lost", False):
            with tracker_may_end(logger):
                _finish(logger.experiment, figures, table, tables or {})


def _finish(
    run: Any, figures: dict[str, Any], table: dict[str, Any] | None, tables: Mapping[str, Artifact]
) -> None:
    import wandb

    for name, figure in figures.items():
        run.summary[name] = figure["value"]
        if figure.get("n") is not None:
            run.summary[f"{name}/n"] = figure["n"]
        if figure.get("ci95") is not None:
            run.summary[f"{name}/ci95_low"], run.summary[f"{name}/ci95_high"] = figure["ci95"]
    if table is not None:
        rows = [[_cell(cell) for cell in row] for row in table["rows"]]
        run.log({"predictions": wandb.Table(columns=table["columns"], data=rows)})
    charts = {name: table_chart(artifact) for name, artifact in tables.items()}
    charts = {name: chart for name, chart in charts.items() if chart is not None}
    if charts:
        run.log(charts)
    run.finish()


def _cell(cell: Any) -> Any:
    import numpy as np
    import wandb

    if isinstance(cell, Path):
        return wandb.Image(str(cell))
    return wandb.Image(cell) if isinstance(cell, np.ndarray) else cell
