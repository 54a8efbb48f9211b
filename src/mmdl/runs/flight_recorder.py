"""torch's flight recorder: which collectives each rank has begun, and which of them are not done."""

from __future__ import annotations

import json
import os
from pathlib import Path

ENTRIES = "2000"
"""Collectives that each rank remembers."""


def record_collectives(folder: Path) -> None:
    """Have NCCL write its last collectives into a folder when one times out; call before the ranks meet.

    `python -m torch.distributed.flight_recorder.fr_trace FOLDER -p nccl-rank=` finds what the ranks disagree on. What
    the user has set stays, under its older names too.

    Args:
        folder: A rank's file is `nccl-rank=R`.
    """
    for (name, other), value in {
        ("TORCH_FR_BUFFER_SIZE", "TORCH_NCCL_TRACE_BUFFER_SIZE"): ENTRIES,
        # torch 2.15's NCCL group knows the first of the two names only, and warns of older ones where it knows both
        ("TORCH_NCCL_DUMP_ON_TIMEOUT", "TORCH_FR_DUMP_ON_TIMEOUT"): "1",
        ("TORCH_FR_DUMP_TEMP_FILE", "TORCH_NCCL_DEBUG_INFO_TEMP_FILE"): str(folder.absolute() / "nccl-rank="),
        # NCCL's watchdog ends a process whose collective has timed out: torch's default
        ("TORCH_NCCL_ASYNC_ERROR_HANDLING", "NCCL_ASYNC_ERROR_HANDLING"): "3",
    }.items():
        if name not in os.environ and other not in os.environ:
            os.environ[name] = value


def pending_collectives() -> list[str]:
    """What this rank has begun and not ended, the oldest first; empty where torch does not tell."""
    import torch

    lines = []
    for name in ("_dump_nccl_trace_json", "_dump_fr_trace_json"):
        dump = getattr(getattr(torch._C, "_distributed_c10d", None), name, None)
        if dump is None:
            continue
        for entry in json.loads(dump(True, True)).get("entries", []):
            if not entry.get("retired", True):
                group, sizes = entry.get("process_group", ["", ""])[-1], entry.get("input_sizes")
                lines.append(
                    f"{entry['profiling_name']} number {entry['collective_seq_id']} of {group}, {sizes}"
                )
    return lines
