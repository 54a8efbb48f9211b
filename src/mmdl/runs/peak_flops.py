"""How many floating-point operations a second a device does at most: by data sheet, or measured on a CPU.

Lightning has a table too (2.6, `fabric.utilities.throughput`). It does not find an H200 by its name, gives figures with
sparsity for some devices and those of the shaders, without tensor cores, for others.
"""

from __future__ import annotations

import re
import time
from functools import cache

import torch

TFLOPS: dict[str, dict[str, float]] = {
    # www.nvidia.com/en-us/data-center/{hgx,gb200-nvl72}
    r"GB200": {"fp32": 80, "tf32": 1250, "bf16": 2500, "fp16": 2500},
    r"B200": {"fp32": 75, "tf32": 1125, "bf16": 2250, "fp16": 2250},
    # nvidia.com/en-us/data-center/{h200,h100}, and the Hopper architecture white paper for the PCIe card
    r"H[12]00 NVL": {"fp64": 30, "fp32": 60, "tf32": 417.5, "bf16": 835.5, "fp16": 835.5},
    r"H100 PCIe": {"fp64": 25.6, "fp32": 51.2, "tf32": 378, "bf16": 756, "fp16": 756},
    r"(GH200|H[12]00)": {"fp64": 33.5, "fp32": 66.9, "tf32": 494.7, "bf16": 989.4, "fp16": 989.4},
    # nvidia-a100-datasheet, a30-datasheet, a40-datasheet, a10-datasheet, rtx-a6000-datasheet
    r"A100": {"fp64": 9.7, "fp32": 19.5, "tf32": 156, "bf16": 312, "fp16": 312},
    r"A30\b": {"fp64": 5.2, "fp32": 10.3, "tf32": 82, "bf16": 165, "fp16": 165},
    r"A40\b": {"fp32": 37.4, "tf32": 74.8, "bf16": 149.7, "fp16": 149.7},
    r"A10\b": {"fp32": 31.2, "tf32": 62.5, "bf16": 125, "fp16": 125},
    r"RTX A6000": {"fp32": 38.7, "tf32": 77.4, "bf16": 154.8, "fp16": 154.8},
    # l4-datasheet, l40-datasheet, l40s-datasheet
    r"L4\b": {"fp32": 30.3, "tf32": 60, "bf16": 121, "fp16": 121},
    r"L40S": {"fp32": 91.6, "tf32": 183, "bf16": 362, "fp16": 362},
    r"L40\b": {"fp32": 90.5, "tf32": 90.5, "bf16": 181, "fp16": 181},
    # Ada and Ampere (GA102) architecture white papers, tensor cores with accumulation in float32
    r"RTX 4090\b(?! Laptop)": {"fp32": 82.6, "tf32": 82.6, "bf16": 165.2, "fp16": 165.2},
    r"RTX 3090\b(?! Ti)": {"fp32": 35.6, "tf32": 35.6, "bf16": 71, "fp16": 71},
    # v100-datasheet, t4-tensor-core-datasheet
    r"V100-SXM2": {"fp64": 7.8, "fp32": 15.7, "fp16": 125},
    r"V100-PCIE": {"fp64": 7, "fp32": 14, "fp16": 112},
    r"\bT4\b": {"fp32": 8.1, "fp16": 65},
}
"""Part of a device's name (a regular expression; the first that is found counts) -> 10^12 operations a second, dense.

From NVIDIA's data sheets, which give tensor cores with sparsity mostly: half of that. A multiply-add counts 2.
"""

SIZE = 512
"""Rows and columns of the matrices that a CPU multiplies: 0.5 to 5 ms on a core."""


def peak_flops(device: torch.device, precision: str) -> float | None:
    """Floating-point operations a second that a device does at most, or None where that is not known.

    Args:
        device: A GPU is looked up by its name; a CPU is measured, once a process and precision: 5 to 50 ms.
        precision: Lightning's, such as `bf16-mixed`.
    """
    kind = compute_kind(precision)
    if device.type == "cuda":
        return peak_of_gpu(torch.cuda.get_device_name(device), kind)
    dtypes = {"bf16": torch.bfloat16, "fp32": torch.float32, "tf32": torch.float32, "fp64": torch.float64}
    if device.type != "cpu" or kind not in dtypes:
        return None
    return peak_of_cpu(dtypes[kind], torch.get_num_threads())


def compute_kind(precision: str) -> str:
    """In what matrices are multiplied: `fp64`, `fp32`, `tf32`, `bf16`, `fp16`, or empty.

    >>> compute_kind("bf16-mixed"), compute_kind("64-true"), compute_kind("transformer-engine")
    ('bf16', 'fp64', '')
    """
    if precision.startswith("32"):
        return "fp32" if torch.get_float32_matmul_precision() == "highest" else "tf32"
    bits = precision.partition("-")[0]
    return {"bf16": "bf16", "16": "fp16", "64": "fp64"}.get(bits, "")


def peak_of_gpu(name: str, kind: str) -> float | None:
    """By the data sheet.

    Args:
        name: As `torch.cuda.get_device_name` gives it; a part of a GPU (MIG) is not known.
        kind: From `compute_kind`.

    >>> peak_of_gpu("NVIDIA H200", "bf16"), peak_of_gpu("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bf16")
    (989400000000000.0, None)
    """
    if "MIG" in name:
        return None
    found = next((figures for pattern, figures in TFLOPS.items() if re.search(pattern, name)), {})
    return found[kind] * 1e12 if kind in found else None


@cache
def peak_of_cpu(dtype: torch.dtype, threads: int) -> float:
    """What one core reaches in a matrix product, times the cores: the best of a few short ones.

    With all threads at once the figure would be that of whatever else runs on the machine.

    Args:
        dtype: Of the matrices.
        threads: Of torch in the training; it has one a core.
    """
    square = torch.full((SIZE, SIZE), 0.5, dtype=dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            square @ square  # picks a kernel
            times = sorted(_seconds(square) for _ in range(4))
            # until the fastest was not the only one: another process may have had the core meanwhile
            while len(times) < 20 and times[1] > 1.1 * times[0]:
                times = sorted([*times, _seconds(square)])
    finally:
        torch.set_num_threads(before)
    return threads * 2 * SIZE**3 / times[0]


def _seconds(square: torch.Tensor) -> float:
    began = time.perf_counter()
    square @ square
    return time.perf_counter() - began
