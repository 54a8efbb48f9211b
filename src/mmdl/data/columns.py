"""Arrow columns as Python sequences, and hashes of their content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

T_co = TypeVar("T_co", covariant=True)

_BLOCK = 4096  # rows that become Python objects at once while a column is iterated


class Column(Sequence[T_co], Generic[T_co]):
    """One Arrow column as a sequence; a value becomes a Python object only when it is asked for.

    >>> words = Column(pa.chunked_array([["red", "blue"], ["green"]]))
    >>> words[2], words[:2], words.take([2, 0]), len(words)
    ('green', ['red', 'blue'], ['green', 'red'], 3)
    """

    def __init__(self, array: pa.ChunkedArray) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, row: int) -> T_co: ...
    @overload
    def __getitem__(self, row: slice) -> list[T_co]: ...
    def __getitem__(self, row: int | slice) -> T_co | list[T_co]:
        if isinstance(row, slice):
            return self.array[row].to_pylist()
        return self.array[int(row)].as_py()

    def __iter__(self) -> Iterator[T_co]:
        for start in range(0, len(self.array), _BLOCK):
            yield from self.array.slice(start, _BLOCK).to_pylist()

    def select(self, rows: npt.NDArray[np.int64]) -> Column[T_co]:
        """A column of several rows, in the order given."""
        return Column(self.array.take(pa.array(rows, type=pa.int64())))

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> list[T_co]:
        """The values of several rows, in the order given."""
        return self.array.take(pa.array(rows, type=pa.int64())).to_pylist()


def id_array(ids: Sequence[int | str]) -> pa.Array:
    """Ids as one Arrow array: int64, or strings where any of them is a string."""
    if all(isinstance(value, int) for value in ids):
        return pa.array(ids, type=pa.int64())
    return pa.array([str(value) for value in ids], type=pa.string())


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """One array of all chunks; older Arrow returns a chunked array from `combine_chunks` at times."""
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined


def update_digest(digest: Any, array: pa.Array) -> None:
    """Feed an array's values to a hash: lengths then content, so that no two contents look alike."""
    if pa.types.is_list(array.type):
        digest.update(np.diff(array.offsets.to_numpy()).astype("<i8").tobytes())
        update_digest(digest, array.flatten())
    elif pa.types.is_string(array.type):
        _, offsets_buffer, data = array.buffers()
        offsets = np.frombuffer(offsets_buffer, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
        digest.update(np.diff(offsets).astype("<i8").tobytes())
        if data is not None and len(offsets):
            digest.update(memoryview(data)[offsets[0] : offsets[-1]])
    else:
        digest.update(array.to_numpy().astype("<i8").tobytes())
