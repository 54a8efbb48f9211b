"""Runs the server: folder, port, the line with the address, and an end at once with Ctrl-C."""

from __future__ import annotations

import os
import socket
import threading
import webbrowser
from pathlib import Path
from types import FrameType

from mmdl.errors import UserError

PORT = 8470
"""Tried first, so that a forwarded port or a bookmark stays right."""

HOST = "127.0.0.1"


def run_server(root: Path, port: int | None, open_browser: bool) -> None:
    """Serve until Ctrl-C; see `mmdl.review.serve.app.serve`.

    Args:
        root: Folder of all runs.
        port: Of 127.0.0.1, or None.
        open_browser: Open the list in a browser.

    Raises:
        UserError: if the folder is none, or the port is taken.
        KeyboardInterrupt: at Ctrl-C, when the server has ended.
    """
    root = checked_root(root)
    listening = bound(port)
    import uvicorn

    from mmdl.review.serve.app import make_app

    config = uvicorn.Config(
        make_app(root),
        log_level="critical",  # of what is cut off by Ctrl-C nothing is to be said
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
    )
    number = listening.getsockname()[1]
    address = f"http://{HOST}:{number}"
    print(f"runs of {root}: {address}  (Ctrl-C ends it; {over_ssh(number)})", flush=True)
    if open_browser:
        opening = threading.Timer(0.3, webbrowser.open, (address,))
        opening.daemon = True
        opening.start()
    server = uvicorn.Server(config)
    end = server.handle_exit

    def end_at_once(sig: int, frame: FrameType | None) -> None:
        server.force_exit = True  # a review that is being made is not waited for
        end(sig, frame)

    setattr(server, "handle_exit", end_at_once)  # noqa: B010
    server.run(sockets=[listening])


def checked_root(root: Path) -> Path:
    """The folder of all runs, without links.

    Args:
        root: As it was given.

    Raises:
        UserError: if it is no folder, or a run itself.
    """
    found = root.expanduser()
    if not found.is_dir():
        raise UserError(
            f"there is no folder {found.absolute()}",
            valid="the folder of all runs (run.root of a training; runs unless it was set)",
            fix="python -m mmdl train +experiment=vqa quick=true, or --root FOLDER",
        )
    if (found / "config.yaml").is_file() and (found / "metrics.jsonl").is_file():
        raise UserError(
            f"{found.absolute()} is a run, not a folder of runs",
            valid=f"{found.absolute().parent}",
            fix=f"--root {found.absolute().parent}",
        )
    try:
        os.scandir(found).close()
    except OSError as error:
        raise UserError(
            f"{found.absolute()} can't be read: {error.strerror}", fix=f"ls -ld {found.absolute()}"
        ) from error
    return found.resolve()


def bound(port: int | None) -> socket.socket:
    """A socket of this machine that nobody else reaches.

    Args:
        port: None: the usual one, or any that is free.

    Raises:
        UserError: if the port is none, is taken, or not allowed.
    """
    if port is not None and not 1 <= port <= 65535:
        raise UserError(f"there is no port {port}", valid="1 to 65535", fix=f"--port {PORT}")
    for candidate in (port,) if port is not None else (PORT, 0):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last server's connections linger
        try:
            made.bind((HOST, candidate))
            made.listen(128)
        except OSError as error:
            made.close()
            failed = error
            continue
        return made
    raise UserError(
        f"port {port} can't be used: {failed.strerror}",
        valid="a port of this machine that is free, from 1024 on",
        fix="leave --port out, and a free one is taken",
    )


def over_ssh(port: int) -> str:
    """How to reach the server from another machine.

    Args:
        port: Of this machine.
    """
    name = socket.gethostname() if "SSH_CONNECTION" in os.environ else "HOST"
    return f"from elsewhere: ssh -L {port}:{HOST}:{port} {name}"
