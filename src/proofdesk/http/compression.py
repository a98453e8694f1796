"""Pages go out packed. Plain ASGI; what is small, is no page or is packed already passes untouched."""

import gzip
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALLEST = 1024


class PageCompression:
    """Packs HTML with gzip.

    A page holds the CSRF token and repeats what was asked. So that its packed length tells nothing about the one by
    the other, each answer carries a name of random length in the gzip header, which browsers skip.
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

        async def packing(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
            elif start is not None and not message.get("more_body"):
                for part in _packed(start, message):
                    await send(part)
                start = None
            else:
                if start is not None:  # it comes in pieces: let it go as it is
                    await send(start)
                    start = None
                await send(message)

        await self.app(scope, receive, packing)


def _is_page(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return headers.get("content-type", "").startswith("text/html") and "content-encoding" not in headers


def _packed(start: Message, message: Message) -> list[Message]:
    body = message.get("body", b"")
    headers = MutableHeaders(scope=start)
    headers.add_vary_header("Accept-Encoding")
    if len(body) < SMALLEST:
        return [start, message]
    packed = _named(gzip.compress(body, 6, mtime=0))
    headers["content-encoding"], headers["content-length"] = "gzip", str(len(packed))
    return [start, {**message, "body": packed}]


def _named(packed: bytes) -> bytes:
    """The same with a file name of random length in its header (RFC 1952, FNAME)."""
    name = b"a" * secrets.randbelow(100) + b"\0"
    return packed[:3] + b"\x08" + packed[4:10] + name + packed[10:]
