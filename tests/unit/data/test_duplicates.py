"""Files with a copy in another split."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmdl.data import duplicates
from mmdl.data.duplicates import equal_files, shared_files
from mmdl.data.equal_images import equal_images
from mmdl.data.image_files import ListedFiles, PathFiles


def splits(folder: Path, contents: dict[str, list[bytes]]) -> dict[str, PathFiles]:
    found = {}
    for split, files in contents.items():
        (folder / split).mkdir()
        for number, content in enumerate(files):
            (folder / split / f"{number}").write_bytes(content)
        found[split] = PathFiles(str(folder / split), [f"{number}" for number in range(len(files))])
    return found


LONG = bytes(range(256)) * 100  # longer than what is compared first


@pytest.mark.parametrize(
    ("contents", "count"),
    [
        ({"train": [b"ab", b"cd"], "test": [b"ef", b"abc"]}, 0),
        ({"train": [b"ab", b"cd"], "test": [b"ab", b"abc"]}, 1),
        ({"train": [b"ab", b"ab"], "test": [b"cd", b"cd"]}, 0),  # copies inside one split are not looked at
        ({"train": [b"ab", b"ab"], "test": [b"ab", b"ab"]}, 1),
        ({"train": [b"ab"], "val": [b"ab", b"cd"], "test": [b"cd"]}, 2),
        ({"train": [LONG], "test": [b"x" + LONG[1:]]}, 0),  # equal size and end
        ({"train": [LONG], "test": [LONG]}, 1),
        ({"train": [b""], "test": [b""]}, 0),
        ({"train": [b"ab"]}, 0),
    ],
)
def test_counts(tmp_path: Path, contents: dict[str, list[bytes]], count: int) -> None:
    assert shared_files(splits(tmp_path, contents)) == count


def test_a_file_that_is_gone_counts_for_none(tmp_path: Path) -> None:
    found = splits(tmp_path, {"train": [b"ab"], "test": [b"ab"]})
    (tmp_path / "test/0").unlink()
    assert shared_files(found) == 0


def test_only_files_of_one_size_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = splits(tmp_path, {"train": [b"a" * n for n in range(1, 30)], "test": [b"b" * 29, b"b" * 40]})
    read: list[str] = []
    monkeypatch.setattr(duplicates, "_end", lambda path: read.append(path) or path.encode())
    assert shared_files(found) == 0
    assert sorted(read) == [f"{tmp_path}/test/0", f"{tmp_path}/train/28"]


def test_large_sets_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = splits(tmp_path, {"train": [b"ab"], "test": [b"ab"]})
    monkeypatch.setattr(duplicates, "MOST_FILES", 1)
    assert shared_files(found) == 0


def test_equal_files(tmp_path: Path) -> None:
    contents = [b"ab", LONG, b"ab", b"cd", b"x" + LONG[1:], LONG, b"", b"", b"ab"]
    paths = []
    for number, content in enumerate(contents):
        (tmp_path / str(number)).write_bytes(content)
        paths.append(str(tmp_path / str(number)))
    first = equal_files(ListedFiles([*paths, str(tmp_path / "gone")]))
    assert first.tolist() == [0, 1, 0, 3, 4, 1, 6, 7, 0, 9]


def test_equal_files_of_a_large_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        (tmp_path / str(number)).write_bytes(b"same")
    files = ListedFiles([str(tmp_path / str(number)) for number in range(3)])
    assert equal_images(files).tolist() == [0, 0, 0]
    monkeypatch.setattr("mmdl.data.equal_images.REMEMBER_FROM", 2)
    assert equal_images(files).tolist() == [0, 0, 0]
    monkeypatch.setattr("mmdl.data.equal_images.equal_files", lambda files: 1 / 0)
    assert equal_images(files).tolist() == [0, 0, 0], "remembered"
    monkeypatch.setattr(duplicates, "MOST_FILES", 2)
    assert equal_files(files).tolist() == [0, 1, 2], "not compared"
