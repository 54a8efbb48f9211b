"""The IDX format of MNIST and Fashion-MNIST (yann.lecun.com/exdb/mnist), gzip-compressed or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmdl.errors import UserError

_UNSIGNED_BYTE = 0x08
_BLOCK = 1 << 20


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """An IDX file of unsigned bytes.

    Args:
        path: The file; a name that ends in `.gz` is decompressed.

    Returns:
        uint8 array of the dimensions that the header names, such as `(60000, 28, 28)`.

    Raises:
        UserError: if the file is no IDX file of unsigned bytes, or is cut off.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            start = file.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] != _UNSIGNED_BYTE or not start[3]:
                raise UserError(
                    f"{path} is no IDX file of bytes: it begins with {start!r}",
                    fix=f"rm {path}, and fetch it again",
                )
            sizes = file.read(4 * start[3])
            shape = struct.unpack(f">{start[3]}I", sizes) if len(sizes) == 4 * start[3] else ()
            wanted = math.prod(shape) if shape else 0
            content = bytearray()
            # by the block, since a damaged header may ask for any size; to the end, where gzip's checksum is
            while len(content) <= wanted and (block := file.read(_BLOCK)):
                content += block
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} can't be read: {error}", fix=f"rm {path}, and fetch it again") from None
    if not shape or len(content) != wanted:
        raise UserError(
            f"{path} is damaged: it holds {len(content):,} bytes of data, and its header says {wanted:,}",
            fix=f"rm {path}, and fetch it again",
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def write_idx(path: Path, array: npt.NDArray[np.uint8]) -> None:
    """Write unsigned bytes as an IDX file.

    Args:
        path: The file; a name that ends in `.gz` is compressed.
        array: uint8 array of up to 255 dimensions.
    """
    header = bytes([0, 0, _UNSIGNED_BYTE, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
