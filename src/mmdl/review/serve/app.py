"""Serves the runs of a folder to a browser on this machine: a list that follows them, their curves, their reviews."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mmdl.errors import UserError
from mmdl.review.curve_lines import parsed
from mmdl.review.quantities import ordered
from mmdl.review.serve.curve_store import CurveStore
from mmdl.review.serve.guard import Guard
from mmdl.review.serve.listing import Listing
from mmdl.review.serve.reviews import Reviews, made_page, review_policy
from mmdl.review.serve.workers import Workers

ASSETS = Path(__file__).parents[1] / "assets"
PAGE = "list.html"

MOST_RUNS = 100
"""Runs of one request."""

POINTS = (64, 1000, 5000)
"""Points of a curve: at least, unless asked for otherwise, at most."""

log = logging.getLogger(__name__)


class Server:
    """What the addresses of the server answer.

    Args:
        root: Folder of all runs.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.listing = Listing(root)
        self.curves = CurveStore()
        self.reviews = Reviews(root, made_page)
        self.readers = Workers(max(2, min(4, os.cpu_count() or 1)))
        self.makers = Workers(1)
        self.assets = {
            path.relative_to(ASSETS).as_posix(): path
            for path in ASSETS.rglob("*")
            if path.suffix in (".js", ".css", ".html")
        }
        self.readers.submit(
            lambda: parsed(b'{"step": 1}\n')
        )  # what it imports is there before the first curve
        self.readers.submit(self.listing.refresh)

    async def page(self, request: Request) -> Response:
        """The list page."""
        return _file(self.assets[PAGE], request)

    async def asset(self, request: Request) -> Response:
        """A script or a style: only what is on the list of assets."""
        path = self.assets.get(request.path_params["name"])
        return _missing("no such file") if path is None else _file(path, request)

    async def runs(self, request: Request) -> Response:
        """Rows of all runs, or those that have changed since a version."""
        await self.readers.run(self.listing.refresh)
        since = request.query_params.get("since", "")
        found = self.listing.since(since)
        tag = f'"{found["tag"]}"'
        if since == found["tag"] or request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return _json(found | {"root": str(self.root)}, ETag=tag)

    async def quantities(self, request: Request) -> Response:
        """Names of the quantities of some runs, and what is damaged in them."""
        runs = self._folders(request)
        if isinstance(runs, Response):
            return runs
        futures = [self.readers.run(partial(self._names, run_id)) for run_id in runs]
        names: dict[str, None] = {}
        notes = []
        for run_id, future in zip(runs, futures, strict=True):
            found, damaged = await future
            names |= dict.fromkeys(found)
            if damaged:
                notes.append(f"{run_id}: {damaged:,} damaged lines of metrics.jsonl are left out")
            if not found:
                notes.append(f"{run_id}: metrics.jsonl is missing, or holds no figure yet")
        monitors = {self.listing.monitor(run_id) for run_id in runs}
        shown = [{"name": name, "group": group} for name, group in ordered(names, monitors)]
        return _json({"quantities": shown, "notes": notes})

    def _names(self, run_id: str) -> tuple[list[str], int]:
        path = self.listing.metrics(run_id)
        return ([], 0) if path is None else self.curves.names(path)

    def _curve(self, run_id: str, *arguments: Any) -> dict[str, Any] | None:
        path = self.listing.metrics(run_id)
        return None if path is None else self.curves.curve(path, *arguments)

    async def curves_of(self, request: Request) -> Response:
        """One quantity of some runs, thinned."""
        runs = self._folders(request)
        if isinstance(runs, Response):
            return runs
        query = request.query_params
        name = query.get("name", "")
        least, usual, most = POINTS
        points = min(most, max(least, int(_number(query.get("points")) or usual)))
        low, high = _number(query.get("low")), _number(query.get("high"))
        futures = {
            run_id: self.readers.run(partial(self._curve, run_id, name, points, low, high)) for run_id in runs
        }
        found = {run_id: await future for run_id, future in futures.items()}
        curves = [{"id": run_id, **curve} for run_id, curve in found.items() if curve is not None]
        return _json({"name": name, "curves": curves, "without": [r for r, c in found.items() if c is None]})

    async def review(self, request: Request) -> Response:
        """The review of one run, or of some."""
        runs = self._folders(request)
        if isinstance(runs, Response):
            return runs
        folders = list(runs.values())
        try:
            content = await self.makers.run(lambda: self.reviews.page(folders))
        except UserError as error:
            return PlainTextResponse(f"{error}\n", 422)
        except Exception as error:  # the server goes on, whatever is in a run folder
            log.exception("the review of %s", ", ".join(runs))
            return PlainTextResponse(f"the review can't be made: {type(error).__name__}: {error}\n", 500)
        headers = {"Content-Security-Policy": review_policy(content)}
        return Response(content, media_type="text/html; charset=utf-8", headers=headers)

    def _folders(self, request: Request) -> dict[str, Path] | Response:
        """The run folders of a request by id; an id is looked up on the list, and is never a path."""
        one = request.path_params.get("run")
        ids = list(dict.fromkeys([one] if one is not None else request.query_params.getlist("run")))
        if not ids:
            return PlainTextResponse("which runs? ?run=ID&run=ID\n", 400)
        if len(ids) > MOST_RUNS:
            return PlainTextResponse(f"{len(ids)} runs are too many; {MOST_RUNS} at most\n", 400)
        found: dict[str, Path] = {}
        for run_id in ids:
            folder = self.listing.folder(run_id)
            if folder is None:
                return _missing("there is no such run; it may have been removed")
            found[run_id] = folder
        return found


def make_app(root: Path) -> Starlette:
    """The server as an ASGI application.

    Args:
        root: Folder of all runs; it is only read.
    """
    server = Server(root)
    return Starlette(
        routes=[
            Route("/", server.page),
            Route("/assets/{name:path}", server.asset),
            Route("/api/runs", server.runs),
            Route("/api/quantities", server.quantities),
            Route("/api/curves", server.curves_of),
            Route("/run/{run:path}", server.review),
            Route("/review", server.review),
        ],
        middleware=[Middleware(Guard), Middleware(GZipMiddleware, minimum_size=4096, compresslevel=2)],
    )


def serve(root: Path, port: int | None = None, open_browser: bool = False) -> None:
    """Serve the runs of a folder until Ctrl-C.

    Args:
        root: Folder of all runs.
        port: Of 127.0.0.1; None: 8470, or any that is free.
        open_browser: Open the list in a browser.

    Raises:
        UserError: if the folder is none, or the port is taken.
    """
    from mmdl.review.serve.running import run_server

    run_server(root, port, open_browser)


def _json(content: Any, **headers: str) -> Response:
    body = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    return Response(body, media_type="application/json", headers=headers)


def _missing(why: str) -> Response:
    return PlainTextResponse(f"{why}\n", 404)


def _file(path: Path, request: Request) -> Response:
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    kind = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}[path.suffix]
    return Response(content, media_type=f"{kind}; charset=utf-8", headers={"ETag": tag})


def _number(value: str | None) -> float | None:
    return float(value) if value is not None and re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", value) else None
