"""The most memory that this process has held."""

from __future__ import annotations

import resource
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")


def peak_memory(device: torch.device) -> int:
    """Bytes: what torch had allocated on a GPU, else the largest resident set of the process since its start.

    Processes of loaders count for themselves. On Linux it is `VmHWM`: `ru_maxrss` includes the parent's, through exec.

    Args:
        device: Of the training.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if STATUS.exists():
        return status_bytes("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def status_bytes(field: str) -> int:
    """A field of this process's memory (Linux).

    Args:
        field: Such as `VmRSS`.
    """
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
