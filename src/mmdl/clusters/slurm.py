"""A training as a Slurm batch script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdl.errors import UserError

SCRIPT = """#!/bin/bash
{options}
# {about}
cd {folder} || exit 1
{setup}job={job}
# A mistake of the user's leaves this file. The exit code doesn't tell: when one rank ends, srun ends the others.
export MMDL_REFUSED={logs}/"$job".refused
rm -f "$MMDL_REFUSED"
srun --kill-on-bad-exit=1 {command}
code=$?
if [ -e "$MMDL_REFUSED" ]; then code=2; fi
# Preemption and time limit: the training has saved and asked for another start by itself, and Slurm ends this script.
# What comes here with an error is a mistake, which is final, or a failure.
if [ "$code" -ne 0 ] && [ ! -e "$MMDL_REFUSED" ] \\
  && ! scontrol show job "$job" | grep -Eq 'JobState=(CANCELLED|COMPLETING)'; then
  # Slurm counts preemptions as restarts too, so failures are counted here.
  echo "$(date '+%F %T') exit code $code" >> {logs}/"$job".failures
  count=$(wc -l < {logs}/"$job".failures)
  if [ "$count" -le {max_restarts} ]; then
    echo "exit code $code: failure $count, and another start (at most {max_restarts})" >&2
    scontrol requeue "$job"
  fi
fi
exit "$code"
"""

JOB = '"$SLURM_JOB_ID"'
ARRAY_TASK = '"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"'


def seconds(time: str) -> int | None:
    """A time limit as sbatch reads it; None where it is no time, such as `UNLIMITED`.

    >>> seconds("90"), seconds("01:30"), seconds("24:00:00"), seconds("1-12"), seconds("1-0:30")
    (5400, 90, 86400, 129600, 88200)
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time)
    if found is None:
        return None
    days, *parts = found.groups()
    numbers = [int(part) for part in parts if part is not None]
    units = (3600, 60, 1) if days or len(numbers) == 3 else (60, 1)
    return int(days or 0) * 86400 + sum(n * unit for n, unit in zip(numbers, units, strict=False))


def ranks(cluster: Any, trainer: Any, given: Sequence[str]) -> tuple[int, int]:
    """Nodes and tasks on each, which are Lightning's `num_nodes` and `devices`.

    Args:
        cluster: The node `cluster`.
        trainer: The node `trainer`.
        given: Keys that the command line sets.

    Raises:
        UserError: if the two contradict each other: Lightning would wait for ranks that never come.
    """
    devices = str(trainer.devices)
    tasks = cluster.tasks_per_node
    if tasks is None:
        if not devices.isdigit() or int(devices) < 1:
            raise UserError(
                f"trainer.devices={devices} does not say how many tasks a node gets",
                valid="a number",
                fix="cluster.tasks_per_node=4",
            )
        tasks = int(devices)
    elif "trainer.devices" in given and devices != str(tasks):
        raise UserError(
            f"cluster.tasks_per_node={tasks} and trainer.devices={devices} differ",
            valid="one task a device",
            fix=f"cluster.tasks_per_node={tasks} alone",
        )
    if "trainer.num_nodes" in given and int(trainer.num_nodes) != int(cluster.nodes):
        raise UserError(
            f"cluster.nodes={cluster.nodes} and trainer.num_nodes={trainer.num_nodes} differ",
            valid="the same number",
            fix=f"cluster.nodes={cluster.nodes} alone",
        )
    for key, value in (("nodes", cluster.nodes), ("tasks_per_node", tasks)):
        if not isinstance(value, int) or value < 1:
            raise UserError(f"cluster.{key}={value}", valid="1, 2, 3, ...")
    return int(cluster.nodes), int(tasks)


def _options(cluster: Any, name: str, nodes: int, tasks: int, gpus: int, logs: Path) -> list[str]:
    """Options of sbatch, in the order in which a person looks for them."""
    limit = seconds(str(cluster.time))
    if limit is not None and limit <= int(cluster.signal_before_s):
        raise UserError(
            f"cluster.time={cluster.time} is over before anything is done: the run is told to save "
            f"{cluster.signal_before_s} s before its end (cluster.signal_before_s), and starts again",
            valid="a longer time; Slurm tells it up to a minute earlier",
            fix="cluster.time=01:00:00",
        )
    named = {
        "job-name": name,
        "nodes": nodes,
        "ntasks-per-node": tasks,
        "gpus-per-node": gpus or None,
        "cpus-per-task": cluster.cpus_per_task,
        "mem": cluster.memory,
        "time": cluster.time,
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "array": cluster.array,
        "output": logs / ("%A_%a.out" if cluster.array is not None else "%j.out"),
        "open-mode": "append",
        "signal": f"USR1@{int(cluster.signal_before_s)}",
    }
    found = [f"--{option}={value}" for option, value in named.items() if value is not None]
    options = [*found, "--requeue", *(str(option) for option in cluster.options)]
    for option in options:
        if "\n" in option or not option.startswith("-"):
            raise UserError(f"cluster.options: {option!r}", valid="options of sbatch, such as --exclusive")
    return options


def render(
    cluster: Any,
    trainer: Any,
    command: Sequence[str],
    *,
    given: Sequence[str],
    name: str,
    about: str,
    logs: Path,
) -> str:
    """The batch script.

    Args:
        cluster: The node `cluster` (`conf/cluster/slurm.yaml` says what each key means).
        trainer: The node `trainer`.
        command: Python and the words after it, up to the last override.
        given: Keys that the command line sets.
        name: Of the job.
        about: A line about where it comes from.
        logs: Absolute folder for the output.

    Raises:
        UserError: if the settings contradict each other.
    """
    nodes, tasks = ranks(cluster, trainer, given)
    on_cpu = str(trainer.accelerator) == "cpu"
    gpus = cluster.gpus_per_node if cluster.gpus_per_node != "auto" else 0 if on_cpu else tasks
    words = [shlex.quote(word) for word in command]
    words += [f"trainer.num_nodes={nodes}", f"trainer.devices={tasks}"]
    if cluster.array is not None:
        words.append('seed="$SLURM_ARRAY_TASK_ID"')
    return SCRIPT.format(
        options="\n".join(
            f"#SBATCH {option}" for option in _options(cluster, name, nodes, tasks, int(gpus or 0), logs)
        ),
        about=about,
        folder=shlex.quote(str(Path.cwd())),
        logs=shlex.quote(str(logs)),
        setup="".join(f"{line}\n" for line in cluster.setup),
        command=" ".join(words),
        job=JOB if cluster.array is None else ARRAY_TASK,
        max_restarts=int(cluster.max_restarts),
    )
