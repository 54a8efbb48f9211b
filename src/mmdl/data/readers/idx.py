"""The IDX format of MNIST and Fashion-MNIST (yann.lecun.com/exdb/mnist), gzip-compressed or not."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmdl.errors import UserError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """An IDX file of unsigned bytes.

    Args:
        path: The file; a name that ends in `.gz` is decompressed.

    Returns:
        uint8 array of the dimensions that the header names, such as `(60000, 28, 28)`.

    Raises:
        UserError: if the file is no IDX file of unsigned bytes, or is cut off.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} can't be read: {error}", fix=f"rm {path}, and fetch it again") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise UserError(f"{path} is no IDX file of bytes: it begins with {content[:4]!r}")
    dims = content[3]
    header = 4 + 4 * dims
    shape = struct.unpack(f">{dims}I", content[4:header]) if len(content) >= header else ()
    wanted = int(np.prod(shape, dtype=np.int64)) if shape else -1
    if len(content) - header != wanted:
        raise UserError(
            f"{path} holds {max(0, len(content) - header):,} bytes of data, and its header says {max(0, wanted):,}",
            fix=f"rm {path}, and fetch it again",
        )
    return np.frombuffer(bytearray(content[header:]), dtype=np.uint8).reshape(shape)
