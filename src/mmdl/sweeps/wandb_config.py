"""The same sweep for W&B's agents: `wandb sweep FILE`, then `wandb agent ID` on as many machines as there are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from mmdl.runs.files import write_text
from mmdl.runs.redact import redact_argument
from mmdl.sweeps.command import SweepCommand
from mmdl.sweeps.method import SweepMethod
from mmdl.sweeps.record import Sweep
from mmdl.sweeps.space import Dimension

WANDB_FILE = "wandb_sweep.yaml"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
"""What W&B takes as the name of a parameter."""


def wandb_sweep(
    sweep: Sweep, method: SweepMethod, command: SweepCommand, space: Sequence[Dimension]
) -> dict[str, Any]:
    """The configuration of a W&B sweep.

    Args:
        sweep: Its name and its figure.
        method: Grid or study.
        command: What its trials share.
        space: What is varied; names are those of `refused_names` not.
    """
    grid = method.method == "grid"
    random = getattr(method, "sampler", "") == "random"
    trials = [word for word in command.fixed if not word.startswith(("logger=", "logger@"))]
    found: dict[str, Any] = {
        "name": sweep.name,
        "program": "mmdl",  # W&B wants one; what runs is the command
        "method": "grid" if grid else "random" if random else "bayes",
        "metric": {"name": sweep.monitor, "goal": "maximize" if sweep.mode == "max" else "minimize"},
        "parameters": {
            _wandb_name(dimension): _categorical(dimension) if grid else _parameter(dimension)
            for dimension in space
        },
        "command": [
            "${env}",
            "${interpreter}",
            *("-m", "mmdl", "train", *command.flags),
            *map(redact_argument, trials),
            *("logger=wandb", f"logger.wandb.group={sweep.name}", "logger.wandb.job_type=sweep-trial"),
            "${args_no_hyphens}",
        ],
    }
    if not grid:
        found["run_cap"] = getattr(method, "n_trials", 1)
    if getattr(method, "pruner", None) is not None:
        found["early_terminate"] = {
            "type": "hyperband",
            "min_iter": max(1, getattr(method, "prune_after", 1)),
        }
    return found


def refused_names(space: Sequence[Dimension]) -> list[str]:
    """Keys that W&B does not take as the name of a parameter, such as `augment@data.augment`."""
    return [d.name for d in space if _NAME.fullmatch(_wandb_name(d)) is None]


def write_wandb_sweep(
    sweep: Sweep, method: SweepMethod, command: SweepCommand, space: Sequence[Dimension]
) -> str:
    """Write `wandb_sweep.yaml` into the folder of a sweep.

    Args:
        sweep: The sweep.
        method: Grid or study.
        command: What its trials share.
        space: What is varied.

    Returns:
        A line for a person: how to use it, or why there is none.
    """
    refused = refused_names(space)
    path = sweep.folder / WANDB_FILE
    if refused:
        path.unlink(missing_ok=True)
        return f"{'W&B agents':12} no {WANDB_FILE}: W&B takes no parameter named {', '.join(refused)}"
    text = yaml.safe_dump(wandb_sweep(sweep, method, command, space), sort_keys=False, allow_unicode=True)
    write_text(path, f"# wandb sweep {path}   prints an id; then, on each machine: wandb agent ID\n{text}")
    return f"{'W&B agents':12} wandb sweep {path}"


def _wandb_name(dimension: Dimension) -> str:
    # The command line takes experiment=NAME without its plus, and model.fusion=NAME for model/fusion=NAME.
    return dimension.name if dimension.name in ("experiment", "debug") else dimension.key.replace("/", ".")


def _parameter(dimension: Dimension) -> dict[str, Any]:
    bounds = dimension.bounds
    if bounds is None or (bounds.step is not None and (bounds.step != 1 or not bounds.is_integer)):
        return _categorical(dimension)
    ends = {"min": bounds.low, "max": bounds.high}
    if bounds.is_integer:
        return ends | (
            {"distribution": "q_log_uniform_values", "q": 1}
            if bounds.log
            else {"distribution": "int_uniform"}
        )
    ends = {name: float(value) for name, value in ends.items()}
    return ends | {"distribution": "log_uniform_values" if bounds.log else "uniform"}


def _categorical(dimension: Dimension) -> dict[str, Any]:
    return {"values": [_value(text) for text in dimension.values]}


def _value(text: str) -> Any:
    """A number where the agent writes it as Hydra reads it, otherwise the text of the override.

    >>> _value("0.001"), _value("null"), _value("True"), _value("[1,2]")
    (0.001, 'null', 'True', '[1,2]')
    """
    for number in (int, float):
        try:
            found = number(text)
        except ValueError:
            continue
        if str(found) == text:
            return found
    return text
