"""torch's flight recorder: which collectives each rank has begun, and which of them are not done."""

from __future__ import annotations

import json
import os
from pathlib import Path

ENTRIES = "2000"
"""Collectives that each rank remembers."""


def record_collectives(folder: Path) -> None:
    """Have NCCL write its last collectives into a folder when one times out; call before the ranks meet.

    `torchrun --nproc... -m torch.distributed.flight_recorder.fr_trace FOLDER` finds what the ranks disagree on. What
    the user has set stays, under its older names too.

    Args:
        folder: A rank's file is `nccl-rank=R`.
    """
    wanted = {
        ("TORCH_FR_BUFFER_SIZE", "TORCH_NCCL_TRACE_BUFFER_SIZE"): ENTRIES,
        ("TORCH_FR_DUMP_ON_TIMEOUT", "TORCH_NCCL_DUMP_ON_TIMEOUT"): "1",
        ("TORCH_FR_DUMP_TEMP_FILE", "TORCH_NCCL_DEBUG_INFO_TEMP_FILE"): str(folder.absolute() / "nccl-rank="),
    }
    for names, value in wanted.items():
        if not any(name in os.environ for name in names):
            os.environ.update(dict.fromkeys(names, value))
    # The watchdog of NCCL ends a process whose collective has timed out: torch's default, which others rely on.
    if "NCCL_ASYNC_ERROR_HANDLING" not in os.environ:
        os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "3")


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
                lines.append(f"{entry['profiling_name']} number {entry['collective_seq_id']} of {group}, {sizes}")
    return lines
