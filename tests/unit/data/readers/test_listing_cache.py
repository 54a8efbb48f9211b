"""A kept listing is used as long as no folder has changed, and never wrongly."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mmdl.data.readers import listing_cache as module
from mmdl.data.readers.class_folders import ClassFolders, list_class_folders
from mmdl.data.readers.listing_cache import cached_class_folders

LONG_AGO = time.time() - 1000


class Calls:
    """Counts listings."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, root: str) -> ClassFolders:
        self.count += 1
        return list_class_folders(root)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    found = Calls()
    monkeypatch.setenv("MMDL_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(module, "FROM_FILES", 3)
    monkeypatch.setattr(module, "list_class_folders", found)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("cat/a.jpg", "cat/sub/b.jpg", "dog/c.jpg", "dog/d.jpg"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_bytes(b"")
    age(tmp_path / "root")
    return tmp_path / "root"


def age(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        os.utime(folder, (LONG_AGO, LONG_AGO))


def equal(one: ClassFolders, other: ClassFolders) -> bool:
    return (
        one.classes == other.classes
        and one.names.equals(other.names)
        and one.labels.tolist() == other.labels.tolist()
        and one.folders == other.folders
    )


def test_the_second_time_nothing_is_listed(root: Path, calls: Calls) -> None:
    first = cached_class_folders(str(root))
    second = cached_class_folders(str(root))
    assert calls.count == 1
    assert equal(first, second)
    assert second.labels.flags.writeable


@pytest.mark.parametrize(
    "change", ["cat/new.jpg", "cat/sub/new.jpg", "bird/x.jpg", "-dog/c.jpg", "-cat/sub/b.jpg"]
)
def test_any_change_is_noticed(root: Path, calls: Calls, change: str) -> None:
    cached_class_folders(str(root))
    path = root / change.removeprefix("-")
    if change.startswith("-"):
        path.unlink()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = cached_class_folders(str(root))
    assert calls.count == 2
    assert equal(found, list_class_folders(str(root)))


def test_a_folder_that_has_just_changed_is_not_kept(root: Path, calls: Calls) -> None:
    (root / "cat/new.jpg").write_bytes(b"")
    for count in (1, 2):
        cached_class_folders(str(root))
        assert calls.count == count
    age(root)
    for _ in range(3):
        cached_class_folders(str(root))
    assert calls.count == 3


def test_small_and_bad_trees_are_not_kept(root: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FROM_FILES", 5)
    cached_class_folders(str(root))
    cached_class_folders(str(root))
    assert calls.count == 2
    monkeypatch.setattr(module, "FROM_FILES", 3)
    (root / "cat/notes.txt").write_bytes(b"")
    age(root)
    cached_class_folders(str(root))
    assert cached_class_folders(str(root)).bad
    assert calls.count == 4


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_damaged_entry_is_made_anew(
    root: Path, tmp_path: Path, calls: Calls, content: bytes | None
) -> None:
    first = cached_class_folders(str(root))
    [kept] = (tmp_path / "home/cache/listing").iterdir()
    kept.write_bytes(kept.read_bytes()[:-100] if content is None else content)
    assert equal(cached_class_folders(str(root)), first)
    assert calls.count == 2
    cached_class_folders(str(root))
    assert calls.count == 2


def test_a_removed_folder(root: Path, calls: Calls) -> None:
    import shutil

    cached_class_folders(str(root))
    shutil.rmtree(root / "cat")
    assert cached_class_folders(str(root)).classes == ("dog",)
