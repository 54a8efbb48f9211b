"""`fetch` against servers that lack files, hold wrong ones, or are not there."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from mmdl.data import download as download_module
from mmdl.data.sources.official_files import OfficialFile, fetch
from mmdl.errors import UserError

BODY = bytes(range(256)) * 1000
FILE = OfficialFile("a.bin", hashlib.md5(BODY).hexdigest())


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(download_module, "BLOCK", 10_000)


def test_the_first_mirror_that_has_a_file_is_taken(server: Any, tmp_path: Path) -> None:
    server.files = {"/wrong/a.bin": BODY[::-1], "/right/a.bin": BODY}
    mirrors = [f"{server.url}/nothing", f"{server.url}/wrong/", f"{server.url}/right", f"{server.url}/never"]
    [path] = fetch([FILE], tmp_path / "new", mirrors, progress=False)
    assert path.read_bytes() == BODY
    assert [(asked, status) for asked, _, status in server.log] == [
        ("/nothing/a.bin", 404),
        ("/wrong/a.bin", 200),
        ("/right/a.bin", 200),
    ]
    fetch([FILE], tmp_path / "new", mirrors, progress=False)
    assert len(server.log) == 3


def test_a_cut_download_continues_at_another_mirror(server: Any, tmp_path: Path) -> None:
    server.files = {"/one/a.bin": BODY, "/two/a.bin": BODY}
    server.cut = [100_000]
    server.status = [200, 503, 503, 503]
    [path] = fetch([FILE], tmp_path, [f"{server.url}/one", f"{server.url}/two"], progress=False)
    assert path.read_bytes() == BODY
    assert server.log[-1] == ("/two/a.bin", "bytes=100000-", 206)


def test_no_mirror_has_it(server: Any, tmp_path: Path) -> None:
    server.files = {"/two/a.bin": b"an error page"}
    with pytest.raises(UserError) as caught:
        fetch([FILE], tmp_path, [f"{server.url}/one", f"{server.url}/two"], progress=False)
    text = str(caught.value)
    assert "/one/a.bin: HTTP 404" in text
    assert "/two/a.bin is not the expected file: md5" in text
    assert not (tmp_path / "a.bin").exists()


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_dns(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_dns)
    with pytest.raises(UserError) as caught:
        fetch([FILE], tmp_path / "new", ["http://one.example/x", "http://two.example/y"], progress=False)
    text = str(caught.value)
    for part in (
        "http://one.example/x/a.bin",
        "http://two.example/y/a.bin",
        "data=digits",
        "data=imagefolder data.root=FOLDER",
        f"put a.bin into {tmp_path}/new",
    ):
        assert part in text
    assert "Traceback" not in text


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't write into") as caught:
        fetch([FILE], tmp_path / "file/new", ["http://one.example"], progress=False)
    assert "data.root=FOLDER" in caught.value.fix


def test_several_processes_fetch_once(server: Any, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    server.files = {"/a.bin": BODY}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fetch([FILE], tmp_path, [server.url], progress=False), range(4)))
    assert found == [[tmp_path / "a.bin"]] * 4
    assert len(server.log) == 1
