"""Begins a run or continues one: id, folder and the configuration that counts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mmdl.assembly import num_ranks
from mmdl.errors import UserError
from mmdl.runs.changes import SAME_MATHEMATICS, SAME_RESULTS, apply, changes, presets_of
from mmdl.runs.folder import RunFolder, agents_id, find_run, make_run_id, rank
from mmdl.runs.moved_paths import moved
from mmdl.runs.shared_id import was_begun

log = logging.getLogger("mmdl")

OTHER_CHECKPOINTS = ("strategy._target_",)
"""Keys of another form of checkpoint."""

FIX = "allow_changes=true to continue with the change, or a new run"


def open_run(cfg: DictConfig) -> tuple[DictConfig, RunFolder, bool]:
    """The configuration with its run folder, and whether it continues a run.

    A run is continued where `resume` names it, and where the scheduler restarts a job whose run folder exists.
    So it is where torchrun starts the ranks once more.

    Args:
        cfg: The composed configuration of `train`.

    Raises:
        UserError: if there is no such run, or the id is taken, or the configuration differs from the run's.
    """
    cfg = _open(cfg)
    root = Path(cfg.run.root).expanduser()
    if cfg.resume is not None:
        run = find_run(root, str(cfg.resume))
        return _continued(cfg, run, overrides()), run, True
    run = RunFolder(root, make_run_id(cfg.run.id, str(cfg.name)))
    cfg.run.id, cfg.run.dir, cfg.run.ranks = run.id, str(run.path), num_ranks(cfg.trainer)
    if run.exists and run.id.startswith(("slurm-", "torchrun-")):
        # A scheduler repeats its command; what of it depends on the node must not keep the job from going on.
        return _continued(cfg, run, overrides() if run.id.startswith("torchrun-") else []), run, True
    if run.exists and run.id == agents_id():
        return _continued(cfg, run, overrides()), run, True  # W&B gives a preempted trial to an agent again
    if was_begun(run.id) and run.exists:
        return _continued(cfg, run, []), run, True  # torchrun repeats its command after a rank has died
    if run.exists and rank() == 0:
        run.create()  # refuses
    return cfg, run, False


def _open(cfg: DictConfig) -> DictConfig:
    """A copy that keys may be set in."""
    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    OmegaConf.set_readonly(cfg, False)
    return cfg


def overrides() -> list[str]:
    """This job's own overrides on the command line."""
    from hydra.core.hydra_config import HydraConfig

    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def named_presets(resuming: bool) -> dict[str, Any]:
    """The presets of a new run for its `status.json`; those of one that is continued stay.

    Args:
        resuming: Whether it is continued.
    """
    return {} if resuming else {"presets": presets_of(overrides())}


def _continued(cfg: DictConfig, run: RunFolder, given: list[str]) -> DictConfig:
    """The saved configuration with what the command line may and does change."""
    saved = _open(run.read_config())
    own = {"root": str(run.root), "id": run.id, "dir": str(run.path)}
    if saved.run.dir != own["dir"]:  # the folder was moved, or is named from elsewhere
        saved = _open(OmegaConf.create(moved(OmegaConf.to_container(saved), str(saved.run.dir), own["dir"])))
    ranks = int(saved.run.get("ranks") or num_ranks(saved.trainer))
    cfg.run = saved.run = own
    found = changes(saved, cfg, given)
    refused = [str(change) for change in found if not change.matches((*SAME_RESULTS, *SAME_MATHEMATICS))]
    refused += [str(change) for change in found if change.key in OTHER_CHECKPOINTS]
    presets = run.read_status().get("presets") or {"experiment": saved.get("name")}
    for group, name in presets_of(given).items():
        if presets.get(group) != name:
            refused.append(f"{group}: {presets.get(group)} -> {name}")
    before = samples_a_step(saved, ranks)
    apply(saved, cfg, given)
    now = saved.run.ranks = num_ranks(saved.trainer)
    after = samples_a_step(saved, now)
    if before != after:
        on = f" (on {_ranks(now)} instead of {ranks})" if ranks != now else ""
        refused.append(f"samples of an optimizer step: {before} -> {after}{on}")
    if refused and not cfg.allow_changes:
        raise UserError(
            f"the configuration differs from that of the run {run.id!r}: {'; '.join(refused)}",
            valid="the run's own configuration, which resume=RUN takes by itself",
            fix=f"global_batch_size={before} to keep the samples of a step, or {FIX}"
            if before != after
            else FIX,
        )
    if rank() == 0:
        said = [str(change) for change in found] + [line for line in refused if line not in map(str, found)]
        if said:
            log.log(logging.WARNING if refused else logging.INFO, "changed      %s", "; ".join(said))
        if ranks != now and before == after:
            text = (
                "ranks        %s instead of %d: the same order of samples, %d in an optimizer step as before"
            )
            log.info(text, _ranks(now), ranks, after)
    if cfg.get("logger") and any(o.lstrip("+~").startswith("logger") for o in given):
        saved.logger = cfg.logger
    saved.resume, saved.allow_changes = str(run.id), bool(cfg.allow_changes)
    return saved


def samples_a_step(cfg: DictConfig, ranks: int) -> int | None:
    """Samples of an optimizer step over all ranks; None where the configuration has no valid numbers.

    Args:
        cfg: A configuration of `train`.
        ranks: How many ranks train.
    """
    wanted = cfg.get("global_batch_size")
    try:
        if wanted is not None:
            return int(wanted)
        return int(cfg.data.batch_size) * ranks * int(cfg.trainer.accumulate_grad_batches or 1)
    except (TypeError, ValueError):
        return None


def _ranks(count: int) -> str:
    return f"{count} rank" if count == 1 else f"{count} ranks"


def check_data(run: RunFolder, fingerprints: Mapping[str, str], allow_changes: bool) -> None:
    """Refuse to continue a run on other data.

    Args:
        run: Its folder.
        fingerprints: SHA-256 of each split and vocabulary, as the data is now.
        allow_changes: Warn in place of that.

    Raises:
        UserError: if the data is not what the run began with.
    """
    before = run.read_manifest().get("data", {})
    changed = sorted(name for name in {*before, *fingerprints} if before.get(name) != fingerprints.get(name))
    if not before or not changed:
        return
    message = f"the data has changed since the run {run.id!r} began: {', '.join(changed)}"
    if not allow_changes:
        raise UserError(
            message,
            valid="the samples, labels and vocabularies that it began with",
            fix=f"the files as they were, or {FIX}",
        )
    log.warning("%s (allow_changes=true)", message)
