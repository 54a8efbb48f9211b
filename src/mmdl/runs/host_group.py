"""Groups of ranks that talk over the host, with the timeout of the run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist


def collective_timeout() -> timedelta:
    """How long the ranks of this run wait for each other, as the strategy has set it."""
    world: Any = dist.group.WORLD
    for device in ("cpu", "cuda"):
        if torch.device(device) in world._device_types:
            timeout: timedelta = world._get_backend(torch.device(device)).options._timeout
            return timeout
    return timedelta(minutes=10)


def host_group() -> Any:
    """A new group of all ranks whose collectives take tensors of the host; all ranks call this together.

    `new_group` alone would wait for half an hour, whatever the strategy says.
    """
    return dist.new_group(backend="gloo", timeout=collective_timeout())
