"""Downloads one file over HTTP(S): resumes, retries, verifies, and puts it in place only when it is right."""

from __future__ import annotations

import errno
import http.client
import json
import logging
import os
import re
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO, Any

from mmdl.data.checksum import BLOCK, Expected, byte_bar, is_verified, mark_verified
from mmdl.data.disk import require_free
from mmdl.data.heartbeat import beat
from mmdl.errors import UserError

_log = logging.getLogger(__name__)
_LONGEST_PAUSE = 30.0
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_DROPPED = (urllib.error.URLError, http.client.HTTPException, OSError)
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class _RetryError(Exception):
    """The connection dropped or the server was busy: worth another attempt."""


def download(
    url: str,
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    attempts: int = 6,
    pause: float = 1.0,
    timeout: float = 30.0,
    progress: bool = True,
    offline_hint: str = "",
) -> Path:
    """Fetch a file, or do nothing where it is there and right.

    Bytes go to `<path>.part`, which a later call continues (Range with If-Range, so a file that changed on
    the server starts anew). The checksum is verified before the file gets its name; `<path>.ok` remembers
    that, so that later calls only compare size and time.

    Args:
        url: `http` or `https`; redirects too must stay with these.
        path: Where the file goes; its folder is made.
        sha256: Expected checksum.
        md5: Expected checksum where no SHA-256 is known.
        size: Expected bytes.
        attempts: Attempts in a row without a new byte before giving up.
        pause: Seconds before the second attempt; doubles up to 30.
        timeout: Seconds without any byte after which a connection counts as dropped.
        progress: Show a bar with rate and remaining time.
        offline_hint: What the user can do without a network; part of the error.

    Returns:
        `path`.

    Raises:
        UserError: The server refuses or can't be reached, the disk is too full, or the content is not the
            expected one (a wrong download is removed; a wrong file that was there before stays).
    """
    target = Path(path)
    expected = Expected(sha256, md5, size)
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise UserError(f"can't download {url}", valid="an http:// or https:// address")
    if is_verified(target, expected, progress):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    fetch = _Fetch(url, target, expected, timeout, progress)
    if size is not None:
        require_free(target.parent, size - fetch.have, target.name)
    fails, best = 0, fetch.have
    while True:
        try:
            fetch.run()
            break
        except _RetryError as error:
            # not "bytes received": a server without ranges that always drops would be asked for ever
            fails, best = (0, fetch.have) if fetch.have > best else (fails + 1, best)
            # without a network there is nothing to wait for, unless it has just been there
            if fails >= attempts or (_no_network(error.__cause__) and not fetch.received):
                later = f"; what has come is kept in {fetch.part}" if fetch.have else ""
                raise UserError(
                    f"can't download {url}: {error}",
                    valid=offline_hint,
                    fix=f"run it again when the network is back{later}",
                ) from None
            seconds = min(pause * 2 ** max(fails - 1, 0), _LONGEST_PAUSE)
            _log.warning("%s: %s; next attempt in %.0f s", target.name, error, seconds)
            time.sleep(seconds)
    fetch.publish()
    return target


def _no_network(error: BaseException | None) -> bool:
    reason = getattr(error, "reason", error)
    unreachable = isinstance(reason, OSError) and reason.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)
    return unreachable or isinstance(reason, socket.gaierror)


class _Fetch:
    """One download: the open part file, its hash, and what is known of the remote file."""

    def __init__(self, url: str, target: Path, expected: Expected, timeout: float, progress: bool) -> None:
        self.url = url
        self.target = target
        self.part = target.with_name(target.name + ".part")
        self.facts = target.with_name(target.name + ".part.json")
        self.expected = expected
        self.timeout = timeout
        self.progress = progress
        self.received = 0
        self.hasher = expected.hasher()
        self.hashed = 0

    @property
    def have(self) -> int:
        """Bytes of the part file."""
        return self.part.stat().st_size if self.part.exists() else 0

    def run(self) -> None:
        """Fetch what is missing of the part file.

        Raises:
            _RetryError: Worth another attempt.
            UserError: Not worth another attempt.
        """
        if self.expected.size is not None and self.have > self.expected.size:
            self._restart()
        have = self.have
        if have and have == self.expected.size:
            self._hash_part()
            return
        try:
            with self._open(have) as response:
                start, total = self._range(response, have)
                self._stream(response, start, total)
        except urllib.error.HTTPError as error:
            self._refused(error, have)
        except UserError:
            raise
        except _DROPPED as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise UserError(
                    f"the disk is full: {self.part}", fix="free some space and run it again: it continues"
                ) from None
            reason = getattr(error, "reason", None) or error
            raise _RetryError(str(reason) or type(reason).__name__) from error

    def _open(self, have: int) -> Any:
        headers = {"User-Agent": "mmdl", "Accept-Encoding": "identity"}
        validator = self._known().get("validator")
        # without a validator or a checksum nothing would notice that the remote file has changed in between
        if have and (validator or self.expected.checksum):
            headers["Range"] = f"bytes={have}-"
            if validator:
                headers["If-Range"] = validator
        request = urllib.request.Request(self.url, headers=headers)
        return _opener().open(request, timeout=self.timeout)

    def _known(self) -> dict[str, Any]:
        try:
            known = json.loads(self.facts.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) and known.get("url") == self.url else {}

    def _range(self, response: Any, have: int) -> tuple[int, int | None]:
        """At which byte the response starts, and the size of the whole file where the server says it."""
        start, total = 0, None
        if response.status == 206:
            match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if match is None or match[1] is None or int(match[1]) != have:
                self._restart()
                raise _RetryError("the server sent another range than was asked for")
            start, total = have, None if match[2] == "*" else int(match[2])
        elif (length := response.headers.get("Content-Length", "")).isdigit():
            total = int(length)
        if total is not None and self.expected.size is not None and total != self.expected.size:
            raise UserError(
                f"{self.url} has {total:,} bytes, expected {self.expected.size:,}",
                fix="use another mirror: this one holds another file, or an error page",
            )
        etag = response.headers.get("ETag", "")
        validator = etag if etag.startswith('"') else response.headers.get("Last-Modified")
        self.facts.write_text(json.dumps({"url": self.url, "validator": validator}))
        if total is not None:
            require_free(self.target.parent, total - start, self.target.name)
        return start, total

    def _stream(self, response: Any, start: int, total: int | None) -> None:
        with self.part.open("r+b" if start else "wb") as file:
            self._hash_up_to(file, start)
            with byte_bar(self.target.name, total, start, self.progress) as bar:
                while block := response.read(BLOCK):
                    beat()
                    file.write(block)
                    self.hasher.update(block)
                    self.hashed += len(block)
                    self.received += len(block)
                    bar.update(len(block))
            file.flush()
            os.fsync(file.fileno())
        # `read` returns b"" both at the end and where the connection was closed early
        if total is not None and self.hashed < total:
            raise _RetryError(f"the connection closed after {self.hashed:,} of {total:,} bytes")

    def _hash_part(self) -> None:
        with self.part.open("rb") as file:
            self._hash_up_to(file, self.have)

    def _hash_up_to(self, file: IO[bytes], end: int) -> None:
        """Bring the hash to byte `end`, reading only what this process has not hashed while writing it."""
        if self.hashed > end:
            self.hasher, self.hashed = self.expected.hasher(), 0
        file.seek(self.hashed)
        while self.hashed < end:
            block = file.read(min(BLOCK, end - self.hashed))
            if not block:
                raise _RetryError("the part file became shorter")
            self.hasher.update(block)
            self.hashed += len(block)

    def _refused(self, error: urllib.error.HTTPError, have: int) -> None:
        error.close()
        if error.code == 416 and have:
            match = _CONTENT_RANGE.fullmatch(error.headers.get("Content-Range", ""))
            if match is not None and match[2] == str(have):  # all is here: only the end was missed
                self._hash_part()
                return
            self._restart()
            raise _RetryError("the part file does not fit the file on the server")
        if error.code in _RETRY_STATUS:
            raise _RetryError(f"HTTP {error.code} {error.reason}")
        raise UserError(f"can't download {self.url}: HTTP {error.code} {error.reason}") from None

    def _restart(self) -> None:
        for path in (self.part, self.facts):
            path.unlink(missing_ok=True)
        self.hasher, self.hashed = self.expected.hasher(), 0

    def publish(self) -> None:
        """Verify the part file and give it its name.

        Raises:
            UserError: It is not the expected file; it has been removed.
        """
        problem = self.expected.mismatch(self.part.stat().st_size, self.hasher.hexdigest())
        if problem:
            self._restart()
            raise UserError(
                f"{self.url} is not the expected file: {problem}",
                fix="run it again; if it stays, use another mirror",
            )
        self.part.replace(self.target)
        self.facts.unlink(missing_ok=True)
        mark_verified(self.target, self.expected)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise UserError(f"{req.full_url} redirects to {newurl}, which is not http or https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """An opener without urllib's handlers for `file:`, `ftp:` and `data:`."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener
