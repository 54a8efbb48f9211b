"""Begins a run or continues one: id, folder and the configuration that counts."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from mmdl.errors import UserError
from mmdl.runs.folder import RunFolder, find_run, make_run_id, rank

FREE_KEYS = ("resume", "allow_changes", "run", "logger")
"""Keys that may differ between a run and its continuation: they don't change what is computed."""


def open_run(cfg: DictConfig) -> tuple[DictConfig, RunFolder, bool]:
    """The configuration with its run folder, and whether it continues a run.

    A run is continued where `resume` names it, and where the scheduler restarts a job whose run folder exists.

    Args:
        cfg: The composed configuration of `train`.

    Raises:
        UserError: if there is no such run, or the id is taken, or the configuration differs from the run's.
    """
    cfg = _open(cfg)
    root = Path(cfg.run.root).expanduser()
    if cfg.resume is not None:
        run = find_run(root, str(cfg.resume))
        return _continued(cfg, run, _overrides()), run, True
    run = RunFolder(root, make_run_id(cfg.run.id, str(cfg.name)))
    cfg.run.id, cfg.run.dir = run.id, str(run.path)
    if run.exists and run.id.startswith(("slurm-", "torchrun-")):
        return _continued(cfg, run, []), run, True
    if run.exists and rank() == 0:
        run.create()  # refuses
    return cfg, run, False


def _open(cfg: DictConfig) -> DictConfig:
    """A copy that keys may be set in."""
    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    OmegaConf.set_readonly(cfg, False)
    return cfg


def _overrides() -> list[str]:
    """This job's own overrides on the command line."""
    from hydra.core.hydra_config import HydraConfig

    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def _continued(cfg: DictConfig, run: RunFolder, overrides: list[str]) -> DictConfig:
    """The saved configuration with what the command line may and does change."""
    saved = _open(run.read_config())
    changed = []
    for override in overrides:
        key, _, _ = override.lstrip("+~").partition("=")
        if key.split(".")[0].split("@")[0] in FREE_KEYS or key == "experiment":
            continue
        value = OmegaConf.select(cfg, key)
        if OmegaConf.is_config(value):
            value = OmegaConf.to_container(value, resolve=True)
        if OmegaConf.select(saved, key) != value:
            changed.append(f"{key}: {OmegaConf.select(saved, key)} -> {value}")
            OmegaConf.update(saved, key, value, merge=False, force_add=True)
    if changed and not cfg.allow_changes:
        raise UserError(
            f"the configuration differs from that of the run {run.id!r}: {'; '.join(changed)}",
            valid="the run's own configuration, which resume=RUN takes by itself",
            fix="allow_changes=true to continue with the change, or a new run",
        )
    if cfg.get("logger") and any(o.lstrip("+~").startswith("logger") for o in overrides):
        saved.logger = cfg.logger
    saved.resume, saved.allow_changes = str(run.id), bool(cfg.allow_changes)
    saved.run = {"root": str(run.root), "id": run.id, "dir": str(run.path)}
    return saved
