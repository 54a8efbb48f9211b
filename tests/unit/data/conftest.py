"""A web server on this machine that misbehaves as told, and small tar shards."""

from __future__ import annotations

import http.server
import io
import re
import tarfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class FileServer:
    """Serves `files`; the other attributes say how.

    Attributes:
        files: Path -> content.
        etag: Sent with every file; empty for none.
        ranges: Whether Range headers are honoured.
        cut: Bytes after which the connection is closed, for each request in turn.
        status: Status instead of the file, for each request in turn.
        redirects: Path -> location.
        length: Whether Content-Length is sent.
        log: (path, Range header, status) of every request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str = '"one"'
    ranges: bool = True
    cut: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    length: bool = True
    log: list[tuple[str, str, int]] = field(default_factory=list)
    url: str = ""


class _Handler(http.server.BaseHTTPRequestHandler):
    state: FileServer

    def log_message(self, *args: Any) -> None:
        """Keep the console quiet."""

    def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.state.log.append((self.path, self.headers.get("Range", ""), status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.state.length or status >= 300:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = True

    def do_GET(self) -> None:
        state = self.state
        if self.path in state.redirects:
            return self._send(302, b"", {"Location": state.redirects[self.path]})
        if state.status and (status := state.status.pop(0)) != 200:
            return self._send(status, b"an error page", {})
        if self.path not in state.files:
            return self._send(404, b"not here", {})
        body = state.files[self.path]
        headers = {"ETag": state.etag} if state.etag else {}
        cut = state.cut.pop(0) if state.cut else None
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range", state.etag) == state.etag
        if not (match and state.ranges and fresh):
            return self._send(200, body, headers, cut)
        start = int(match[1])
        if start >= len(body):
            return self._send(416, b"", headers | {"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return self._send(206, body[start:], headers, cut)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = FileServer()
    handler = type("Handler", (_Handler,), {"state": state})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{running.server_port}"
        yield state
        running.shutdown()
        thread.join()


class Shards:
    """Makes small tar shards."""

    def picture(self, number: int, size: int = 24) -> bytes:
        """A PNG file that differs with the number."""
        import numpy as np
        from PIL import Image

        file = io.BytesIO()
        pixels = np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()

    def members(self, numbers: Iterable[int], change: Any = None) -> list[tuple[str, bytes]]:
        """(name, content) pairs of samples; `change(number, files)` may alter the files of one."""
        found = []
        for number in numbers:
            files = {"png": self.picture(number), "txt": f"picture number {number}".encode()}
            if change is not None:
                change(number, files)
            found += [(f"{number:04d}.{extension}", content) for extension, content in files.items()]
        return found

    def tar(self, members: Iterable[tuple[str, bytes]]) -> bytes:
        """A tar file of (name, content) pairs."""
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name, content in members:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return file.getvalue()


@pytest.fixture(scope="session")
def shards() -> Shards:
    return Shards()
