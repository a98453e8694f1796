"""Compression of HTML pages with gzip. Small, compressed and other responses pass unchanged."""

import gzip
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MINIMUM_SIZE = 1024  # bytes


class PageCompression:
    """ASGI middleware that compresses HTML pages.

    A page contains the CSRF token and repeats input of the request, so its compressed length could reveal the token.
    A file name of random length in the gzip header, which browsers skip, hides that length.
    (Meyer, Weissbacher, Cova, Kirda: Heal the Breach, 2022; Django does the same.)
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or "gzip" not in Headers(scope=scope).get("accept-encoding", ""):
            await self.app(scope, receive, send)
            return
        start: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
            elif start is not None and not message.get("more_body"):
                for part in _compress(start, message):
                    await send(part)
                start = None
            else:
                if start is not None:  # a streamed page is sent as it is
                    await send(start)
                    start = None
                await send(message)

        await self.app(scope, receive, send_compressed)


def _is_page(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return headers.get("content-type", "").startswith("text/html") and "content-encoding" not in headers


def _compress(start: Message, message: Message) -> list[Message]:
    body = message.get("body", b"")
    headers = MutableHeaders(scope=start)
    headers.add_vary_header("Accept-Encoding")
    if len(body) < MINIMUM_SIZE:
        return [start, message]
    compressed = _add_file_name(gzip.compress(body, 6, mtime=0))
    headers["content-encoding"], headers["content-length"] = "gzip", str(len(compressed))
    return [start, {**message, "body": compressed}]


def _add_file_name(compressed: bytes) -> bytes:
    """Return the same with a file name of random length in its header (RFC 1952, FNAME)."""
    name = b"a" * secrets.randbelow(100) + b"\0"
    return compressed[:3] + b"\x08" + compressed[4:10] + name + compressed[10:]
