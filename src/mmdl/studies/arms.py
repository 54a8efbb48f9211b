"""From a study's settings to the configurations of its arms, with all that is wrong with them at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from mmdl.assembly import build_task, chosen, static_errors
from mmdl.errors import UserError, UserErrors
from mmdl.runs.changes import FREE
from mmdl.runs.folder import RunFolder
from mmdl.runs.moved_paths import moved
from mmdl.runs.wandb_filing import file_as
from mmdl.studies.base import Arm, Study

if TYPE_CHECKING:
    from mmdl.data.base import DataModule

CHANGEABLE = (
    "data.batch_size",
    "optimizer",
    "schedule",
    "trainer.accumulate_grad_batches",
    "trainer.gradient_clip_val",
)
"""What an arm may change. Data, model, seed and epochs stay, or the arms could not be compared."""

WHOLE = "all"
"""As `data.batch_size`: the whole training set."""


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as full keys.

    >>> dict(flat({"data": {"batch_size": 1}, "optimizer.lr": 0.1}))
    {'data.batch_size': 1, 'optimizer.lr': 0.1}
    """
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def make_arms(cfg: DictConfig, study: Study, run: RunFolder, data: DataModule) -> list[Arm]:
    """The arms of a study, each verified as far as it can be without training.

    Args:
        cfg: Of the study, with the facts of its data.
        study: With its settings.
        run: The study's folder.
        data: Set up.

    Raises:
        UserErrors: everything that is wrong with any of them.
    """
    errors = _device_errors(cfg) + _callback_errors(cfg, study)
    if not study.arms:
        errors.append(UserError("the study has no arms", valid="one at least", fix="study=descent"))
    made = []
    for name, settings in study.arms.items():
        found = _name_errors(name, settings)
        if not found:
            made.append(_arm(cfg, name, dict(flat(settings)), run, int(data.offsets("train")[-1])))
            found = _setting_errors(cfg, made[-1])
        for error in found:
            error.given = f"study.arms.{name}: {error.given}"
        errors += found
    if errors:
        raise UserErrors(errors)
    return made


def _arm(cfg: DictConfig, name: str, settings: dict[str, Any], run: RunFolder, count: int) -> Arm:
    folder = RunFolder(run.path / "arms", name)
    own = {"root": str(folder.root), "id": f"{run.id}.{name}", "dir": str(folder.path)}
    # The saved configuration of a study that is resumed holds its folder where there was ${run.dir}.
    config = OmegaConf.create(moved(OmegaConf.to_container(cfg, resolve=False), str(run.path), own["dir"]))
    if settings.get("data.batch_size") == WHOLE:
        settings["data.batch_size"] = count
    for key, value in settings.items():
        OmegaConf.update(config, key, value, force_add=True)
    config.study, config.resume, config.allow_changes, config.run = None, None, False, own
    file_as(config.get("logger"), "study-arm", run.id, own["id"])
    return Arm(name, settings, config, folder)


def _name_errors(name: str, settings: object) -> list[UserError]:
    errors = []
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,40}", str(name)):
        errors.append(
            UserError(
                "the name of an arm names a folder",
                valid="letters, digits, _ and -, at most 41, beginning with a letter or digit",
            )
        )
    if not isinstance(settings, Mapping):
        errors.append(UserError(f"{settings!r} is no mapping", valid="{data: {batch_size: 64}}"))
        return errors
    return errors + [
        UserError(
            f"an arm can't change {key}: what all arms share makes them comparable",
            valid=", ".join(CHANGEABLE),
            fix=f"{key}=... for the whole study",
        )
        for key, _ in flat(settings)
        if not any(key == known or key.startswith(known + ".") for known in CHANGEABLE)
    ]


def _setting_errors(cfg: DictConfig, arm: Arm) -> list[UserError]:
    """What its classes and its optimizer refuse, and whether its folder holds another training already."""
    errors = static_errors(arm.config)
    if not errors:
        try:
            build_task(arm.config).build_optimizer(total_steps=1000)
        except UserErrors as error:
            errors += error.errors
        except UserError as error:
            errors.append(error)
    if is_finished(arm) and is_other_training(arm):
        errors.append(
            UserError(
                f"it has finished with other settings, in {arm.run.path}",
                valid="the settings that it was trained with",
                fix="another name for this arm, or a new study",
            )
        )
    return errors


def is_finished(arm: Arm) -> bool:
    """Whether an arm needs no training any more."""
    return arm.run.exists and arm.run.read_status().get("status") == "finished"


def is_other_training(arm: Arm) -> bool:
    """Whether the folder of an arm holds a training of another configuration."""
    if not arm.run.exists:
        return False
    ours, theirs = (OmegaConf.to_container(c, resolve=True) for c in (arm.config, arm.run.read_config()))
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    return any(ours.get(k) != theirs.get(k) for k in (ours.keys() | theirs.keys()) - {*FREE, "study"})


def _callback_errors(cfg: DictConfig, study: Study) -> list[UserError]:
    given = chosen(cfg.get("callbacks"))
    missing = [name for name in study.needs_callbacks if name not in given]
    return [
        UserError(
            f"the study needs the callback {name}, which measures what it compares",
            valid=f"callbacks with {name}; now: {', '.join(given)}",
            fix=f"callbacks=[default,{name}]",
        )
        for name in missing
    ]


def _device_errors(cfg: DictConfig) -> list[UserError]:
    trainer = cfg.trainer
    devices = list(trainer.devices) if OmegaConf.is_list(trainer.devices) else trainer.devices
    single = devices == 1 or devices == "1" or (isinstance(devices, list) and len(devices) == 1)
    if single and int(trainer.num_nodes) == 1:
        return []
    return [
        UserError(
            f"a study with trainer.devices={devices} and trainer.num_nodes={trainer.num_nodes}",
            valid="one device: its arms differ in what a batch is, and ranks would share each batch out",
            fix="trainer.devices=1",
        )
    ]
