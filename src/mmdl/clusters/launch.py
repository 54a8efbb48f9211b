"""Whether as many ranks were started as the trainer counts: ranks that never come would be waited for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from mmdl.errors import UserError
from mmdl.runs.requeue import INTERACTIVE


def device_count(trainer: Mapping[Any, Any]) -> int:
    """Ranks on each node that a node `trainer` asks for.

    Args:
        trainer: Plain values.
    """
    devices = trainer["devices"]
    words = str(devices).strip("[] ").split(",")
    if words in (["auto"], ["-1"]):
        return _visible_gpus(trainer) or 1
    if len(words) == 1 and not str(devices).startswith("["):
        return int(words[0]) if words[0].isdigit() else 1  # what else there is, Lightning refuses
    return sum(bool(word.strip()) for word in words)  # [0, 1], or "0,1" as Lightning reads it


def _visible_gpus(trainer: Mapping[Any, Any]) -> int:
    import torch

    on_gpu = str(trainer["accelerator"]) in ("auto", "gpu", "cuda")
    return torch.cuda.device_count() if on_gpu and torch.cuda.is_available() else 0


def tasks_per_node(text: str) -> list[int]:
    """Slurm's short form of the tasks on each node.

    Args:
        text: Such as `SLURM_STEP_TASKS_PER_NODE`.

    >>> tasks_per_node("4(x2),1")
    [4, 4, 1]
    """
    parts = [re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part) for part in text.split(",")]
    return [int(part[1]) for part in parts if part for _ in range(int(part[2] or 1))]


def under_srun() -> bool:
    """Whether this process is a task that `srun` has started, and no shell in which a person works."""
    env = os.environ
    started = (
        "SLURM_STEP_ID" in env and "SLURM_NTASKS" in env and env.get("SLURM_JOB_NAME") not in INTERACTIVE
    )
    return started and not under_torchrun()


def under_torchrun() -> bool:
    """Whether torchrun has started this process, perhaps as a task of Slurm's."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def check_launch(trainer: Mapping[Any, Any]) -> None:
    """Refuse ranks that are not those of the trainer, before they wait for each other.

    Args:
        trainer: Plain values of the node `trainer`.

    Raises:
        UserError: if srun or torchrun has started other ranks, or several nodes are asked for without either.
    """
    env = os.environ
    devices, nodes = device_count(trainer), int(trainer["num_nodes"] or 1)
    if under_srun():
        tasks = tasks_per_node(env.get("SLURM_STEP_TASKS_PER_NODE", env["SLURM_NTASKS"]))
        if len(set(tasks)) != 1:
            raise UserError(
                f"srun has started {', '.join(map(str, tasks))} tasks on the {len(tasks)} nodes",
                valid="as many on each node",
                fix=f"--ntasks-per-node={devices} in place of --ntasks",
            )
        _compare("srun", (len(tasks), tasks[0]), (nodes, devices))
        if 0 < _visible_gpus(trainer) < devices:
            raise UserError(
                f"this task sees {_visible_gpus(trainer)} of the {devices} GPUs of its node",
                valid="all GPUs of a node for each of its tasks, which takes one by its number",
                fix="--gpus-per-node in place of --gpus-per-task, or srun --gpu-bind=none",
            )
    elif under_torchrun():
        local = int(env["LOCAL_WORLD_SIZE"])
        _compare("torchrun", (int(env["WORLD_SIZE"]) // local, local), (nodes, devices))
    elif nodes > 1 and "NODE_RANK" not in env and "GROUP_RANK" not in env:
        raise UserError(
            f"trainer.num_nodes={nodes}, and nothing has started ranks on other nodes",
            valid="srun or torchrun before the command, or python -m mmdl submit",
            fix="srun python -m mmdl train ..." if "SLURM_JOB_ID" in env else "trainer.num_nodes=1",
        )


def _compare(program: str, started: tuple[int, int], wanted: tuple[int, int]) -> None:
    if started != wanted:
        raise UserError(
            f"{program} has started {started[1]} tasks on each of {started[0]} nodes, but the trainer counts "
            f"trainer.devices={wanted[1]} on trainer.num_nodes={wanted[0]}",
            valid="one task a device",
            fix=f"trainer.num_nodes={started[0]} trainer.devices={started[1]}",
        )
