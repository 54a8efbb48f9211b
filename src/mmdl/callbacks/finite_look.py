"""Whether a number is finite on every rank, known to all of them, without waiting for the device at once."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mmdl.optim.norms import own_part


class FiniteLook:
    """Begins to look at a number; all ranks do so at the same point.

    Args:
        value: A scalar on the device.
        world_size: Number of ranks; the flag of one goes nowhere.
    """

    def __init__(self, value: Tensor, world_size: int) -> None:
        self._flag = (~torch.isfinite(own_part(value.detach()))).any().to(torch.float32)
        self._work: Any = None
        self._host: Tensor | None = None
        self._event: Any = None
        if world_size > 1:
            self._work = dist.all_reduce(self._flag, dist.ReduceOp.MAX, async_op=True)
        if self._flag.device.type == "cuda":
            self._copy()

    def _copy(self) -> None:
        """Bring the flag to the host on a stream of its own: the next steps are not to wait for the other ranks."""
        stream = _side_stream(self._flag.device)
        stream.wait_stream(torch.cuda.current_stream(self._flag.device))
        self._host = torch.empty((), dtype=torch.float32, pin_memory=True)
        with torch.cuda.stream(stream):
            if self._work is not None:
                self._work.wait()  # the stream waits, not the host
            self._host.copy_(self._flag, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record(stream)

    def bad(self) -> bool:
        """Whether it is not finite on any rank; waits until that is known."""
        if self._event is not None and self._host is not None:
            self._event.synchronize()
            return bool(self._host)
        if self._work is not None:
            self._work.wait()
        return bool(self._flag)


_streams: dict[torch.device, Any] = {}


def _side_stream(device: torch.device) -> Any:
    if device not in _streams:
        _streams[device] = torch.cuda.Stream(device)
    return _streams[device]
