"""`load_plain` reads what CIFAR's files hold, and runs nothing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmdl.data.readers.plain_pickle import load_plain

ARRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("protocol", range(5))
def test_arrays_lists_and_texts(protocol: int) -> None:
    given = {b"data": ARRAY, b"labels": [3, 1, 2], b"names": [b"a", b"b"], "text": "x"}
    found = load_plain(pickle.dumps(given, protocol=protocol))
    assert np.array_equal(found["data"], ARRAY)
    assert found["data"].dtype == np.uint8
    assert (found["labels"], found["names"], found["text"]) == ([3, 1, 2], [b"a", b"b"], "x")


def test_a_real_file(real_data: Path) -> None:
    content = (real_data / "cifar10/cifar-10-batches-py/data_batch_1").read_bytes()
    found = load_plain(content)
    wanted = pickle.loads(content, encoding="bytes")
    assert np.array_equal(found["data"], wanted[b"data"])
    assert found["labels"] == wanted[b"labels"]


class Dangerous:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def test_nothing_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    attacks = [
        Dangerous(os.system, f"touch {marker}"),
        Dangerous(eval, f"open({str(marker)!r}, 'w')"),
        Dangerous(open, str(marker), "w"),
        Dangerous(__import__, "os"),
        Dangerous(getattr, ARRAY, "dump"),
        Dangerous(np.load, str(marker)),
        Dangerous(np.fromfile, str(marker)),
    ]
    for attack in attacks:
        for protocol in range(5):
            with pytest.raises(ValueError, match="which no data needs"):
                load_plain(pickle.dumps({"data": attack}, protocol=protocol))
    assert not marker.exists()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(3, dtype=np.int64),
        np.array([{"a": 1}], dtype=object),
        np.array(["a"], dtype="U1"),
        np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3)),
        np.zeros(2, dtype=[("a", "u1")]),
    ],
)
def test_only_arrays_of_bytes(array: Any) -> None:
    with pytest.raises(ValueError, match=r"array that is not|which no data needs"):
        load_plain(pickle.dumps({"data": array}, protocol=2))


def test_a_shape_that_lies_is_refused() -> None:
    content = pickle.dumps({"data": np.zeros(200, dtype=np.uint8)}, protocol=2)
    assert content.count(b"K\xc8") == 1  # 200
    with pytest.raises(ValueError, match="array that is not"):
        load_plain(content.replace(b"K\xc8", b"K\xc9"))


def test_damaged_and_foreign_files() -> None:
    whole = pickle.dumps({"data": ARRAY, "labels": [1, 2, 3]}, protocol=2)
    for content in (b"", b"hello", b"\x80\x02", whole[:-1], whole[: len(whole) // 2], b"\x80\x02]q\x00."):
        with pytest.raises(ValueError, match=r"."):
            load_plain(content)
    rng = np.random.default_rng(0)
    for _ in range(500):  # a flipped byte gives an error or other values, and never another exception
        broken = bytearray(whole)
        broken[rng.integers(len(whole))] = rng.integers(256)
        try:
            load_plain(bytes(broken))
        except ValueError:
            continue
