"""`extract_zip`: harmless archives unpack once, dangerous ones leave no trace."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from mmdl.data import archive as module
from mmdl.data.archive import extract_zip
from mmdl.errors import UserError


def make(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path / "a.zip", "w", compression) as file:
        for name, data in members.items():
            info = zipfile.ZipInfo("x")
            info.filename = name  # the constructor would clean the name
            info.compress_type = compression
            file.writestr(info, data)
    return path / "a.zip"


def error(path: Path, source: Path, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        extract_zip(source, path / "out", progress=False, **options)
    return str(caught.value)


GOOD = {"train/": b"", "train/1.jpg": b"one", "train/deep/2.jpg": b"two", "a.json": b"{}"}


def test_unpacks_and_leaves_nothing_else(tmp_path: Path) -> None:
    names = extract_zip(make(tmp_path, GOOD), tmp_path / "out", expect_files=3)
    assert names == ["train/1.jpg", "train/deep/2.jpg", "a.json"]
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert found == {"train", "train/1.jpg", "train/deep", "train/deep/2.jpg", "a.json"}
    assert (tmp_path / "out/train/deep/2.jpg").read_bytes() == b"two"


def test_what_is_there_is_not_unpacked_again(tmp_path: Path) -> None:
    source = make(tmp_path, GOOD)
    extract_zip(source, tmp_path / "out")
    before = (tmp_path / "out/train/1.jpg").stat().st_mtime_ns
    (tmp_path / "out/a.json").unlink()
    (tmp_path / "out/train/deep/2.jpg").write_bytes(b"torn file")
    (tmp_path / "out/train/own.txt").write_bytes(b"mine")
    extract_zip(source, tmp_path / "out")
    assert (tmp_path / "out/train/1.jpg").stat().st_mtime_ns == before
    assert (tmp_path / "out/train/deep/2.jpg").read_bytes() == b"two"
    assert (tmp_path / "out/train/own.txt").read_bytes() == b"mine"
    assert (tmp_path / "out/a.json").exists()


def test_an_interrupted_run_looks_incomplete_and_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path, GOOD)
    unpack = module._extract_one
    done: list[str] = []

    def interrupted(opened: object, member: zipfile.ZipInfo, *rest: object) -> None:
        if done:
            raise KeyboardInterrupt
        unpack(opened, member, *rest)  # type: ignore[arg-type]
        done.append(member.filename)

    monkeypatch.setattr(module, "_extract_one", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract_zip(source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".a.zip.partial"]
    monkeypatch.undo()
    (tmp_path / "out/.a.zip.partial/train/1.jpg").write_bytes(b"ONE")  # same size: taken as it is
    extract_zip(source, tmp_path / "out")
    assert (tmp_path / "out/train/1.jpg").read_bytes() == b"ONE"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.json", "train"]


@pytest.mark.parametrize(
    "name",
    ["/etc/evil", "../evil", "a/../../evil", "..", "C:\\evil", "C:/evil", "a\\..\\evil", "a\0/../evil", "."],
)
def test_paths_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    source = make(tmp_path, {"good.txt": b"good", name: b"evil"})
    assert "refused, since member" in error(tmp_path, source)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip"]


def test_links_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc")
        file.writestr("link/passwd", "evil")
    assert "member 'link' is a link" in error(tmp_path, tmp_path / "a.zip")


def test_names_that_clash(tmp_path: Path) -> None:
    assert "member './a' occurs twice" in error(tmp_path, make(tmp_path, {"a": b"1", "./a": b"2"}))
    assert "'a' is a file and a folder" in error(tmp_path, make(tmp_path, {"a/b/c": b"1", "a": b"2"}))


def test_limits(tmp_path: Path) -> None:
    source = make(tmp_path, {"a": b"0" * 5_000_000, "b": b""}, zipfile.ZIP_DEFLATED)
    assert "holds 2 files\n  valid: at most 1" in error(tmp_path, source, max_files=1)
    assert "unpacks to 5,000,000 bytes\n  valid: at most 4,000,000" in error(
        tmp_path, source, max_bytes=4_000_000
    )
    assert "a zip bomb" in error(tmp_path, source)
    assert "holds 2 files, expected 3" in error(tmp_path, source, max_ratio=1e9, expect_files=3)
    assert not (tmp_path / "out").exists()
    extract_zip(source, tmp_path / "out", max_ratio=1e9)


def test_the_disk_is_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "not enough space for the files of a.zip" in error(tmp_path, make(tmp_path, GOOD))


def test_damage(tmp_path: Path) -> None:
    source = make(tmp_path, {"first.txt": b"first", "photo.jpg": b"the pixels"})
    data = source.read_bytes()
    source.write_bytes(data.replace(b"the pixels", b"the Pixels"))
    text = error(tmp_path, source)
    assert "member 'photo.jpg' is damaged: Bad CRC-32" in text
    assert f"rm {source}" in text
    assert not (tmp_path / "out/first.txt").exists()
    source.write_bytes(data[: len(data) // 2])
    assert "is no usable zip file" in error(tmp_path, source)
    source.write_bytes(b"<html>an error page</html>")
    assert "is no usable zip file" in error(tmp_path, source)
    assert "file not found" in error(tmp_path, tmp_path / "none.zip")


def test_encrypted(tmp_path: Path) -> None:
    source = make(tmp_path, {"a": b"1"})
    data = bytearray(source.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    source.write_bytes(data)
    assert "member 'a' is encrypted" in error(tmp_path, source)
