"""Weights & Biases without surprises: offline where nobody is logged in, never a prompt, all in the run folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger

from mmdl.runs.folder import rank
from mmdl.runs.jsonl_logger import read_metrics
from mmdl.runs.rewound_trackers import NOT_LOGGED
from mmdl.runs.tracker_end import tracker_may_end
from mmdl.runs.wandb_artifacts import check_kinds
from mmdl.runs.wandb_identity import identity
from mmdl.runs.wandb_login import offline_reason
from mmdl.runs.wandb_privacy import discreet, private_settings
from mmdl.runs.wandb_summary import WandbSummary

log = logging.getLogger("mmdl")

FLUSH_S = 1.0
"""After how many seconds W&B's file holds what was logged; with its own 15 a kill loses that much (measured)."""


class PatientWandbLogger(WandbLogger):
    """A `WandbLogger` that outlives W&B's service, shows the best of a curve, and keeps the machine's secrets.

    Args:
        monitor: The validation figure that chooses the weights.
        mode: `max` or `min`: which way it is better.
        artifacts: Kinds of artifacts that the run leaves; see `mmdl.runs.wandb_artifacts`.
        artifact_limit_mb: Megabytes of an artifact at most.
        **options: Lightning's.

    Attributes:
        counts: Over how many samples a figure that is logged next was taken, by its name.
    """

    lost = False
    """Whether the service is gone."""

    def __init__(
        self,
        *,
        monitor: str | None = None,
        mode: str = "max",
        artifacts: Sequence[str] = (),
        artifact_limit_mb: float = 1024,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.curves = WandbSummary(monitor, mode)
        self.artifacts, self.artifact_limit_mb = tuple(artifacts), artifact_limit_mb
        self.counts: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        self._is_first_row = True

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """W&B's run, which is begun at the first use."""
        if self._experiment is not None:
            return self._experiment
        with discreet():
            return super().experiment

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Send figures, and images under their names, while there is a service.

        Args:
            metrics: Name -> value.
            step: Optimizer step.
        """
        if self.lost:
            return
        with tracker_may_end(self):
            run = self.experiment
            scalars = {name: value for name, value in metrics.items() if _is_scalar(value)}
            if self._is_first_row and scalars:
                self._is_first_row = False
                rows = [row for row in self._earlier_rows() if not _is_same(row, scalars, step)]
                self.curves.remember(rows)
                names = dict.fromkeys(name for row in rows for name in row if name not in NOT_LOGGED)
                self.curves.define(run, names)
            self.curves.define(run, scalars)
            super().log_metrics(metrics, step)
            best: dict[str, float] = self.curves.after(scalars)
            counts = {name: self.counts[name] for name in scalars if name in self.counts}
            best |= {f"{name}/n": n for name, n in counts.items() if self._counted.get(name) != n}
            self._counted |= counts
            if best:
                run.summary.update(best)

    def _earlier_rows(self) -> list[dict[str, Any]]:
        """What the run has logged so far: its first part, where it is continued."""
        return read_metrics(Path(str(self.save_dir)) / "metrics.jsonl")


def _is_scalar(value: Any) -> bool:
    if isinstance(value, bool | str):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_same(row: Mapping[str, Any], scalars: Mapping[str, Any], step: int | None) -> bool:
    """Whether a line of `metrics.jsonl` is the row that is being logged: that file is written first."""
    return row.get("step") == step and row.keys() - set(NOT_LOGGED) == scalars.keys()


def wandb_logger(
    dir: str,  # noqa: A002 - wandb's own name for it
    run_id: str,
    project: str | None = None,
    entity: str | None = None,
    name: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: list[str] | None = None,
    offline: bool | None = None,
    artifacts: list[str] | None = None,
    artifact_limit_mb: float = 1024,
    experiment: str = "run",
    task: str | None = None,
    model: str | None = None,
    data: str | None = None,
    seed: int | None = None,
    quick: bool = False,
    monitor: str | None = None,
    mode: str = "max",
) -> PatientWandbLogger:
    """Lightning's `WandbLogger`, continued under the run's id.

    Args:
        dir: The run folder; media and caches stay inside it too.
        run_id: W&B's id of the run: the run folder's name.
        project: Project; None: `WANDB_PROJECT`, or mmdl.
        entity: User or team; None takes the default.
        name: Display name; None: see `mmdl.runs.wandb_identity`, as with the following.
        group: Group of runs; None: the experiment.
        job_type: Kind of job; None: train, or sweep.
        tags: Tags; None: experiment, task, model and data.
        offline: None decides by whether W&B can be reached.
        artifacts: Of `config`, `predictions`, `answers`, `checkpoint`; None for none.
        artifact_limit_mb: Megabytes of an artifact at most.
        experiment: Name of the experiment.
        task: Stem of the task's config.
        model: Stem of the model's.
        data: Stem of the data's.
        seed: The run's seed.
        quick: Whether it is a smoke run.
        monitor: The validation figure that chooses the weights.
        mode: `max` or `min`: which way it is better.

    Raises:
        UserError: if a tag or a kind of artifact is not possible.
    """
    # Before wandb is imported: its own lines say nothing that ours don't.
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    check_kinds(artifacts or ())
    filed = identity(
        run_id,
        experiment=experiment,
        task=task,
        model=model,
        data=data,
        seed=seed,
        quick=quick,
        project=project,
        name=name,
        group=group,
        job_type=job_type,
        tags=tags,
    )
    # Images of an offline table would otherwise lie outside the run folder (wandb #4611).
    # Absolute: W&B's service is one for all runs of a process, and keeps the directory that it was started in.
    folder = Path(dir).absolute()
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "wandb" / "data"))
    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "wandb" / "cache"))
    for variable in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        Path(os.environ[variable]).mkdir(parents=True, exist_ok=True)
    is_off = offline is None and os.environ.get("WANDB_MODE", "").lower() == "disabled"
    reason = "logger.wandb.offline=true" if offline else None
    if offline is None and not is_off:
        reason = offline_reason()
    if reason is not None and rank() == 0:
        log.info("W&B: offline (%s); to send it later: wandb sync %s/wandb/offline-run-*", reason, dir)
    logger = PatientWandbLogger(
        project=filed.project,
        entity=entity,
        name=filed.name,
        id=wandb_id(run_id),
        resume="allow",
        save_dir=str(folder),
        offline=reason is not None,
        group=filed.group,
        job_type=filed.job_type,
        tags=list(filed.tags),
        # flat: what a run is made of stands nested in its configuration, where W&B can't filter or group well
        config={
            f"{kind}_name": stem
            for kind, stem in (("experiment", experiment), ("task", task), ("model", model), ("data", data))
            if stem
        },
        # the mode is said here too: W&B reads its variables once a process
        settings=wandb.Settings(
            silent=True,
            console="off",
            **({"mode": "disabled" if is_off else "offline"} if is_off or reason is not None else {}),
            **_flushed(wandb),
            **private_settings(),
        ),
        monitor=monitor,
        mode=mode,
        artifacts=artifacts or (),
        artifact_limit_mb=artifact_limit_mb,
    )
    # Lightning always passes it, and wandb warns of it on the console although it is not set.
    logger._wandb_init.pop("anonymous", None)
    return logger


def _flushed(wandb: Any) -> dict[str, float]:
    """The setting that keeps a kill from taking more than a second; W&B does not promise that it stays."""
    name = "x_transaction_log_flush_interval"
    return {name: FLUSH_S} if name in wandb.Settings.model_fields else {}


def wandb_id(run_id: str) -> str:
    """W&B's id of a run: the run's own, in letters that W&B takes.

    >>> wandb_id("lr=0.1+a")
    'lr-0.1-a'
    """
    return run_id.replace("=", "-").replace("+", "-")
