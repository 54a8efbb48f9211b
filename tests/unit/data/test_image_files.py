"""Files of a split: paths, choices, what tells contents apart."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mmdl.data.image_files import JoinedFiles, PathFiles


@pytest.fixture
def files(tmp_path: Path) -> PathFiles:
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(b"x" * number)
    return PathFiles(str(tmp_path), [f"{number}.jpg" for number in range(4)])


def test_rows(files: PathFiles, tmp_path: Path) -> None:
    part = files.select(np.array([3, 1]))
    assert len(part) == 2
    assert [part[0], part[1]] == [f"{tmp_path}/3.jpg", f"{tmp_path}/1.jpg"]
    assert part.sizes().tolist() == [3, 1]
    assert list(part.names) == ["3.jpg", "1.jpg"]


def test_the_digest_is_of_names_and_sizes(files: PathFiles, tmp_path: Path) -> None:
    before, identity = files.digest(), files.identity()
    os.utime(tmp_path / "1.jpg", (1, 1))
    assert files.digest() == before
    assert files.identity() != identity  # a cache of pixels is made anew
    (tmp_path / "1.jpg").write_bytes(b"longer")
    assert files.digest() != before
    assert files.select(np.array([0, 2])).digest() != files.select(np.array([2, 0])).digest()


def test_a_file_that_is_gone_has_a_size_too(files: PathFiles, tmp_path: Path) -> None:
    (tmp_path / "2.jpg").unlink()
    assert files.sizes().tolist() == [0, 1, -1, 3]


def test_joined(files: PathFiles, tmp_path: Path) -> None:
    both = JoinedFiles(files, PathFiles("/other", ["a", "b"]))
    assert len(both) == 6
    assert [both[0], both[5]] == [f"{tmp_path}/0.jpg", "/other/b"]
    part = both.select(np.array([5, 1])).select(np.array([1, 0]))
    assert [part[0], part[1]] == [f"{tmp_path}/1.jpg", "/other/b"]
    assert part.identity() == [both.identity()[1], both.identity()[5]]
    assert len({both.digest(), part.digest(), both.select(np.array([1])).digest()}) == 3
