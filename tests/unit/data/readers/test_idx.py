"""`read_idx` on sound and on damaged files."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from mmdl.data.readers.idx import read_idx, write_idx
from mmdl.errors import UserError

ARRAY = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
WHOLE = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 3, 4) + ARRAY.tobytes()


@pytest.mark.parametrize("name", ["a-ubyte", "a-ubyte.gz"])
def test_what_was_written_is_read(tmp_path: Path, name: str) -> None:
    write_idx(tmp_path / name, ARRAY)
    raw = (tmp_path / name).read_bytes()
    assert (gzip.decompress(raw) if name.endswith(".gz") else raw) == WHOLE
    found = read_idx(tmp_path / name)
    assert found.dtype == np.uint8
    assert np.array_equal(found, ARRAY)
    found[0] = 1  # may be written to, unlike bytes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no IDX file"),
        (b"\0\0", "no IDX file"),
        (b"<html>not found</html>", "no IDX file of bytes: it begins with b'<htm'"),
        (bytes([0, 0, 13, 1]) + struct.pack(">I", 1) + b"\0\0\0\0", "no IDX file of bytes"),  # floats
        (bytes([0, 0, 8, 0]) + b"\0", "no IDX file"),
        (WHOLE[:10], "is damaged: it holds 0 bytes"),
        (WHOLE[:-1], "is damaged: it holds 23 bytes of data, and its header says 24"),
        (WHOLE + b"x", "holds 25 bytes of data"),
        (bytes([0, 0, 8, 2]) + b"\xff" * 8 + b"few", "holds 3 bytes of data, and its header says 18,446,744"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, message: str, packed: bool) -> None:
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(UserError) as caught:
        read_idx(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert f"rm {path}" in caught.value.fix


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    packed = gzip.compress(WHOLE, mtime=0)
    flipped = bytearray(packed)
    flipped[-6] ^= 1  # in the checksum
    for content in (b"plain", packed[:-12], bytes(flipped), packed[:20] + b"\xff\xff\xff" + packed[23:]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.gz"):
            read_idx(path)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be read"):
        read_idx(tmp_path / "nothing")
