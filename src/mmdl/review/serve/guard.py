"""What is let in: reads by a browser on this machine that opened this server itself, and nothing else."""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)

LIST_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts, styles and data of this server only, and none that stands inside a page."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}


class Guard:
    """Refuses what is no read from this machine, and adds the headers that bind the browser.

    A page of another site can make the browser ask this server, even under a name of its own that it lets point here
    (DNS rebinding). Such a request is told by its Host, Origin and Sec-Fetch-Site.

    Args:
        app: What answers the requests that are let in.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", LIST_POLICY)
            await send(message)

        refusal = refused(scope["method"], Headers(scope=scope))
        await (refusal or self.app)(scope, receive, send_with_headers)


def refused(method: str, headers: Headers) -> PlainTextResponse | None:
    """The answer to a request that is not let in; None for one that is.

    Args:
        method: Of the request.
        headers: Of the request.
    """
    if method not in ("GET", "HEAD"):
        return PlainTextResponse("this server only reads\n", 405, {"Allow": "GET, HEAD"})
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not LOOPBACK.fullmatch(hosts[0]):
        return PlainTextResponse("this server answers to 127.0.0.1 and localhost only\n", 421)
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{hosts[0].lower()}":
        return PlainTextResponse("this server answers no other site\n", 403)
    # another port of this machine is "same-site"; a link that was clicked somewhere is a navigation, and harmless
    site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "")
    link = mode == "navigate" and headers.get("sec-fetch-dest") == "document"
    if site not in ("none", "same-origin") and not link:
        return PlainTextResponse("this server answers no other site\n", 403)
    return None
