"""What each of several trials at a time gets of the machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them; torch is not asked, which is slow.

    >>> visible_gpus({"CUDA_VISIBLE_DEVICES": "0, 3"})
    ['0', '3']
    """
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [one.strip() for one in named.split(",") if one.strip() and one.strip() != "-1"]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number, _ in enumerate(folder.iterdir())] if folder.is_dir() else []


def share(
    slot: int, jobs: int, environment: Mapping[str, str], gpus: list[str], devices: int
) -> dict[str, str]:
    """The environment variables that give a trial its share.

    Args:
        slot: Which of the places for trials it takes, from 0.
        jobs: How many trials run at a time; one alone gets everything.
        environment: Of the sweep: threads that it sets itself stay.
        gpus: As `visible_gpus` gives them.
        devices: GPUs that a trial uses.

    >>> share(1, 2, {"OMP_NUM_THREADS": "1"}, ["0", "1"], devices=1)
    {'CUDA_VISIBLE_DEVICES': '1'}
    """
    if jobs == 1:
        return {}
    found: dict[str, str] = {}
    if not any(name in environment for name in THREADS):
        threads = max(1, _cpus() // jobs)
        found |= dict.fromkeys(THREADS, str(threads))
    if gpus:
        places = max(1, len(gpus) // devices)
        first = slot % places * devices
        found["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[first : first + devices])
    return found


def _cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
