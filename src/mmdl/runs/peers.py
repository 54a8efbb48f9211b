"""Who the other ranks are, so that a message can say which of them is gone."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import torch.distributed as dist

PATIENCE_S = 2.0
"""How long to look for the rank that has closed its connections: it may be about to end."""


class Peers:
    """Host and process of every rank."""

    def __init__(self) -> None:
        self.rank = 0
        self.known: list[tuple[str, int]] = []
        """(host, process id) of each rank."""

    def meet(self, group: Any) -> None:
        """Exchange who the ranks are; all call this together.

        Args:
            group: Of all ranks; its collectives take tensors of the host.
        """
        self.rank = dist.get_rank(group)
        found: list[Any] = [None] * dist.get_world_size(group)
        dist.all_gather_object(found, (socket.gethostname(), os.getpid()), group=group)
        self.known = found

    def name(self, rank: int) -> str:
        """Such as `rank 1 (process 4711 on node7)`.

        Args:
            rank: Which one.
        """
        host, process = self.known[rank]
        return f"rank {rank} (process {process} on {host})"

    def gone(self, patience: float = PATIENCE_S) -> list[int]:
        """Ranks on this host whose process has ended, within some seconds.

        Args:
            patience: Seconds.
        """
        own = socket.gethostname()
        end = time.monotonic() + patience
        while True:
            found = [
                rank for rank, (host, process) in enumerate(self.known) if host == own and not _lives(process)
            ]
            if found or time.monotonic() >= end:
                return found
            time.sleep(0.05)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


peers = Peers()
"""Those of this process."""
