"""Writes one safetensors file a few tensors at a time, so that memory does not grow with the model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from mmdl.errors import UserError
from mmdl.runs.files import atomic_write

AT_ONCE = 512 * 1024**2
"""Bytes that are in memory at a time, or one tensor if that is larger."""

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Names of the format (github.com/huggingface/safetensors)."""


def stream_safetensors(
    path: Path, described: Mapping[str, Tensor], read: Callable[[Sequence[str]], Mapping[str, Tensor]]
) -> None:
    """Write a file, atomically.

    Args:
        path: The file.
        described: Name -> any tensor of that shape and dtype, such as one on the `meta` device.
        read: Gives some of the tensors by their names, on the CPU.

    Raises:
        UserError: a dtype that the format does not have; the disk is full or can't be written.
    """
    if odd := [name for name, tensor in described.items() if tensor.dtype not in DTYPES]:
        raise UserError(
            f"{odd[0]} is {described[odd[0]].dtype}, which safetensors files can't hold",
            valid=", ".join(DTYPES.values()),
        )
    # As the reference implementation orders them, so that every tensor begins at a multiple of its element size.
    order = sorted(described, key=lambda name: (-described[name].element_size(), name))
    header: dict[str, object] = {}
    end = 0
    for name in order:
        begin, end = end, end + _size(described[name])
        tensor = described[name]
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)

    def write(handle: BinaryIO) -> None:
        handle.write(len(text).to_bytes(8, "little") + text)
        for names in _portions(order, described):
            tensors = read(names)
            for name in names:
                flat = tensors[name].detach().contiguous().reshape(-1)
                handle.write(flat.view(torch.uint8).numpy().data if flat.numel() else b"")

    atomic_write(path, write, need=8 + len(text) + end)


def _size(tensor: Tensor) -> int:
    return math.prod(tensor.shape) * tensor.element_size()


def _portions(order: Sequence[str], described: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """Names whose tensors fit into memory together."""
    names: list[str] = []
    size = 0
    for name in order:
        own = _size(described[name])
        if names and size + own > AT_ONCE:
            yield names
            names, size = [], 0
        names.append(name)
        size += own
    if names:
        yield names
