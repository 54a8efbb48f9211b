"""`download` against a server that drops, ignores ranges, changes files, lies and redirects."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from mmdl.data import download as module
from mmdl.data.download import download
from mmdl.errors import UserError

BODY = bytes(range(256)) * 2000  # 512,000 bytes
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks a file, so that cut connections leave some."""
    monkeypatch.setattr(module, "BLOCK", 10_000)


def get(server: Any, path: Path, **options: Any) -> Path:
    server.files.setdefault("/a.bin", BODY)
    return download(f"{server.url}/a.bin", path / "new/a.bin", pause=0, progress=False, **options)


def error(*args: Any, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        get(*args, **options)
    return str(caught.value)


def names(path: Path) -> set[str]:
    return {entry.name for entry in (path / "new").iterdir()}


@pytest.mark.parametrize(
    "expected", [{}, {"sha256": SHA256.upper(), "size": len(BODY)}, {"md5": hashlib.md5(BODY).hexdigest()}]
)
def test_fetched_once(server: Any, tmp_path: Path, expected: Any) -> None:
    assert get(server, tmp_path, **expected).read_bytes() == BODY
    assert names(tmp_path) == {"a.bin", "a.bin.ok"}
    get(server, tmp_path, **expected)
    assert server.log == [("/a.bin", "", 200)]


def test_a_file_that_is_there_is_hashed_once(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/a.bin").write_bytes(BODY)
    get(server, tmp_path, sha256=SHA256)
    assert (tmp_path / "new/a.bin.ok").exists()
    monkeypatch.setattr(hashlib, "sha256", None)
    with pytest.raises(TypeError):  # another checksum: the note does not count, so it is hashed again
        get(server, tmp_path, sha256="0" * 64)
    monkeypatch.undo()
    get(server, tmp_path, sha256=SHA256)
    assert server.log == []


def test_a_wrong_file_that_is_there_stays(server: Any, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/a.bin").write_bytes(b"mine")
    text = error(server, tmp_path, sha256=SHA256)
    assert "a.bin is not the expected file: sha256 " in text
    assert SHA256 in text
    assert "4 bytes, expected 512,000" in error(server, tmp_path, size=len(BODY))
    assert (tmp_path / "new/a.bin").read_bytes() == b"mine"
    assert server.log == []


def test_resumes_after_drops(server: Any, tmp_path: Path) -> None:
    server.cut = [100_000, 200_000, 10]
    assert get(server, tmp_path, sha256=SHA256).read_bytes() == BODY
    asked = [asked for _, asked, _ in server.log]
    assert asked == ["", "bytes=100000-", "bytes=300000-", "bytes=300010-"]


def test_resumes_in_a_later_call(server: Any, tmp_path: Path) -> None:
    server.cut = [100_000]
    server.status = [200, 503]
    text = error(server, tmp_path, sha256=SHA256, attempts=1)
    assert "HTTP 503" in text
    assert "what has come is kept in" in text
    assert names(tmp_path) == {"a.bin.part", "a.bin.part.json"}
    assert get(server, tmp_path, sha256=SHA256).read_bytes() == BODY
    assert server.log[-1] == ("/a.bin", "bytes=100000-", 206)
    assert names(tmp_path) == {"a.bin", "a.bin.ok"}


def test_a_server_without_ranges_starts_anew(server: Any, tmp_path: Path) -> None:
    server.cut, server.ranges = [100_000], False
    assert get(server, tmp_path, sha256=SHA256).read_bytes() == BODY
    assert [status for *_, status in server.log] == [200, 200]


def test_a_server_without_ranges_that_always_drops_is_given_up(server: Any, tmp_path: Path) -> None:
    server.cut, server.ranges = [100_000] * 50, False
    text = error(server, tmp_path, attempts=3)
    assert "the connection closed after 100,000 of 512,000 bytes" in text
    assert len(server.log) == 4


def test_a_changed_file_starts_anew(server: Any, tmp_path: Path) -> None:
    server.cut = [100_000]
    server.status = [200, 503]
    error(server, tmp_path, attempts=1)
    server.files["/a.bin"], server.etag = BODY[::-1], '"two"'
    assert get(server, tmp_path).read_bytes() == BODY[::-1]
    assert server.log[-1] == ("/a.bin", "bytes=100000-", 200)


def test_without_validator_and_checksum_nothing_is_resumed(server: Any, tmp_path: Path) -> None:
    server.cut, server.etag = [100_000], ""
    assert get(server, tmp_path).read_bytes() == BODY
    assert [asked for _, asked, _ in server.log] == ["", ""]


def test_a_complete_part_file_is_only_verified(server: Any, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    part = tmp_path / "new/a.bin.part"
    part.write_bytes(BODY)
    assert get(server, tmp_path, sha256=SHA256).read_bytes() == BODY
    assert [status for *_, status in server.log] == [416]
    (tmp_path / "new/a.bin").rename(part)
    assert get(server, tmp_path, sha256=SHA256, size=len(BODY)).read_bytes() == BODY
    assert len(server.log) == 1


def test_a_part_file_that_is_too_long_starts_anew(server: Any, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    part = tmp_path / "new/a.bin.part"
    part.write_bytes(BODY + b"more")
    assert get(server, tmp_path, sha256=SHA256).read_bytes() == BODY
    assert [status for *_, status in server.log] == [416, 200]
    (tmp_path / "new/a.bin").unlink()
    part.write_bytes(BODY + b"more")
    assert get(server, tmp_path, sha256=SHA256, size=len(BODY)).read_bytes() == BODY


def test_without_content_length(server: Any, tmp_path: Path) -> None:
    server.length = False
    assert get(server, tmp_path, sha256=SHA256).read_bytes() == BODY


def test_wrong_checksum(server: Any, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY[:-1] + b"x"
    text = error(server, tmp_path, sha256=SHA256)
    assert "/a.bin is not the expected file: sha256 " in text
    assert names(tmp_path) == set()


def test_wrong_size_is_noticed_before_the_download(server: Any, tmp_path: Path) -> None:
    text = error(server, tmp_path, size=10_000)
    assert "has 512,000 bytes, expected 10,000" in text
    assert names(tmp_path) == set()


def test_refusals_are_not_repeated(server: Any, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY
    for status in (403, 404, 410):
        server.status = [status]
        assert f"HTTP {status}" in error(server, tmp_path)
    assert len(server.log) == 3


def test_busy_servers_are_asked_again(server: Any, tmp_path: Path) -> None:
    server.status = [503, 429, 500]
    assert get(server, tmp_path).read_bytes() == BODY


def test_redirects(server: Any, tmp_path: Path) -> None:
    server.files["/b.bin"] = BODY
    server.redirects["/a.bin"] = "/b.bin"
    assert get(server, tmp_path).read_bytes() == BODY
    (tmp_path / "secret").write_text("secret")
    shutil.rmtree(tmp_path / "new")
    server.redirects["/a.bin"] = f"file://{tmp_path}/secret"
    assert "/secret' is not allowed" in error(server, tmp_path)
    server.redirects["/a.bin"] = "ftp://127.0.0.1/a"
    assert "redirects to ftp://127.0.0.1/a, which is not http or https" in error(server, tmp_path)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://host/a", "/etc/hostname", "data:,a"])
def test_other_schemes(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't download"):
        download(url, tmp_path / "a")


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def no_dns(*args: Any, **options: Any) -> Any:
        calls.append(args)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_dns)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError) as caught:
        download("http://host.invalid/a.zip", tmp_path / "a.zip", offline_hint="put a.zip into /data")
    assert "can't download http://host.invalid/a.zip: " in str(caught.value)
    assert "valid: put a.zip into /data" in str(caught.value)
    assert len(calls) == 1  # no waiting


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/a"
        with pytest.raises(UserError, match="refused"):
            download(url, tmp_path / "a", attempts=2, pause=0)


def test_the_disk_is_asked_first(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    text = error(server, tmp_path, size=len(BODY))
    assert "not enough space for a.bin" in text
    assert server.log == []
    assert "not enough space for a.bin" in error(server, tmp_path)  # the server said how much
    assert names(tmp_path) == {"a.bin.part.json"}


def test_a_disk_that_fills_up(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "the disk is full" in error(server, tmp_path)
    monkeypatch.undo()
    assert get(server, tmp_path, sha256=SHA256).read_bytes() == BODY
