"""What the machine can do, for the precision to choose and for the manifest."""

from __future__ import annotations

import os
import platform
from functools import cache
from typing import Any

from mmdl.errors import UserError


@cache
def _cpu_flags() -> frozenset[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as handle:  # noqa: PTH123 - a pseudo file
            lines = [line for line in handle if line.startswith(("flags", "Features"))]
    except OSError:
        return frozenset()
    return frozenset(lines[0].split()) if lines else frozenset()


def cpu_computes_bf16() -> bool:
    """Whether the CPU multiplies in bfloat16; elsewhere it is emulated, which is slower than float32."""
    return bool(_cpu_flags() & {"avx512_bf16", "amx_bf16", "bf16"})


def resolve_precision(precision: str | int, accelerator: str) -> str:
    """Lightning's precision for `auto`, and a refusal of what would be hopelessly slow.

    Args:
        precision: `auto` or a precision of Lightning.
        accelerator: Lightning's `trainer.accelerator`.

    Raises:
        UserError: for fp16 on a CPU: 180 times slower than bf16 (measured on Zen 4).
    """
    import torch

    on_gpu = torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda")
    if str(precision) == "auto":
        fast = torch.cuda.is_bf16_supported() if on_gpu else cpu_computes_bf16()
        return "bf16-mixed" if fast else "32-true"
    if str(precision).startswith("16") and not on_gpu:
        raise UserError(
            f"trainer.precision={precision} on a CPU would be about 180 times slower than bf16",
            valid="bf16-mixed, 32-true, auto",
            fix="trainer.precision=auto",
        )
    return str(precision)


def hardware() -> dict[str, Any]:
    """Processor, cores, memory and accelerators, for the manifest."""
    import torch

    facts: dict[str, Any] = {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": platform.processor() or _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu_bf16": cpu_computes_bf16(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }
    if torch.cuda.is_available():
        facts["cuda"] = torch.version.cuda
    return facts


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as handle:  # noqa: PTH123 - a pseudo file
            return next(
                (line.split(":", 1)[1].strip() for line in handle if line.startswith("model name")), ""
            )
    except OSError:
        return ""


def remember_no_gpu() -> None:
    """Let torch remember that there is no GPU: its optimizers ask the driver library again in every step.

    On a machine without one that costs 0.3 ms a step (torch 2.15), more than the step of a small model.
    """
    import torch

    if torch.cuda.device_count() == 0 and hasattr(torch.cuda, "_cached_device_count"):
        torch.cuda._cached_device_count = 0
