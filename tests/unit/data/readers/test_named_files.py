"""`TarFiles` takes files by their known names, whatever else an archive holds."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from mmdl.data.readers import named_files
from mmdl.data.readers.named_files import FolderFiles, TarFiles
from mmdl.errors import UserError


def archive(path: Path, members: list[tuple[str, bytes | tarfile.TarInfo]], mode: str = "w:gz") -> TarFiles:
    with tarfile.open(path, mode) as file:
        for name, content in members:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
            else:
                file.addfile(info)
    return TarFiles(path)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("mode", ["w:gz", "w", "w:bz2"])
def test_files_are_found_in_any_folder(tmp_path: Path, mode: str) -> None:
    found = archive(tmp_path / "a.tar", [("x/y/one", b"1"), ("two", b"22"), ("x/three", b"")], mode)
    assert found.read(["two", "one", "three"]) == {"two": b"22", "one": b"1", "three": b""}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar"]


def test_nothing_leaves_the_archive(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    members = [
        ("../one", b"outside"),
        ("one", link("one", str(tmp_path / "secret"))),
        ("two", link("two", str(tmp_path / "secret"), tarfile.LNKTYPE)),
        ("/etc/three", b"3"),
        ("two", b"2"),
    ]
    found = archive(tmp_path / "a.tar.gz", members)
    # only the last part of a name counts, and links are passed over
    assert found.read(["one", "two", "three"]) == {"one": b"outside", "two": b"2", "three": b"3"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "secret"]


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, [("one", bytes(range(256)) * 400)])
    whole = path.read_bytes()
    for content in (b"", b"hello" * 200, whole[: len(whole) // 2], whole[:40] + b"\xff" * 40 + whole[80:]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.tar\.gz is no sound archive") as caught:
            TarFiles(path).read(["one"])
        assert f"rm {path}" in caught.value.fix


def test_missing_and_large_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = archive(tmp_path / "a.tar", [("one", b"12345")], "w")
    with pytest.raises(UserError, match="two, three not in it"):
        found.read(["one", "two", "three"])
    monkeypatch.setattr(named_files, "MOST_BYTES", 4)
    with pytest.raises(UserError, match="one has 5 bytes"):
        found.read(["one"])


def test_an_endless_archive_is_not_searched_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_files, "MOST_MEMBERS", 3)
    found = archive(tmp_path / "a.tar", [(f"{n}", b"") for n in range(5)] + [("one", b"1")], "w")
    with pytest.raises(UserError, match="one not in it"):
        found.read(["one"])


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "two").mkdir()
    files = FolderFiles(tmp_path)
    assert files.missing(["one", "two", "three"]) == ["two", "three"]
    assert files.read(["one"]) == {"one": b"1"}
    with pytest.raises(UserError, match="two can't be read"):
        files.read(["two"])
