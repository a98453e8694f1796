"""What every request passes before a door opens: its id, the headers of its answer, the limit of its body.

Plain ASGI, outermost first as `asgi.create_app` puts them together.
"""

import time
from collections.abc import Callable
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proofdesk import logging
from proofdesk.dashboard import process_metrics
from proofdesk.errors import Invalid
from proofdesk.http import forwarded
from proofdesk.http.dependencies import FORWARDED, JSON_SCOPE, REQUEST_ID

log = logging.get_logger(__name__)

BODY_LIMIT = 256 * 1024
_DRAINED = 16 * 1024 * 1024  # a client that is cut off while it sends may never read the answer
_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
    "access-control-allow-headers": "content-type, x-csrf-token, x-request-id",
    "access-control-max-age": "600",
}
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class PayloadTooLarge(Invalid):
    """The body is longer than `BODY_LIMIT`."""

    code = "payload_too_large"


class Middleware:
    """A step on the way of a request. What is no request (the server's start and end) passes untouched."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.handle if scope["type"] == "http" else self.app)(scope, receive, send)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; each step does something about it on the way."""
        await self.app(scope, receive, send)


class ForwardedAddresses(Middleware):
    """Puts the address and scheme in place that a trusted proxy tells of. Nobody else is believed."""

    def __init__(self, app: ASGIApp, proxies: list[forwarded.Network]):
        super().__init__(app)
        self.proxies = proxies

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        peer = forwarded.parse_address(scope["client"][0]) if scope.get("client") else None
        if peer is not None and forwarded.is_trusted(peer, self.proxies):
            told = Headers(scope=scope)
            scope["client"] = (str(forwarded.client_address(peer, told.getlist("x-forwarded-for"), self.proxies)), 0)
            scope[FORWARDED] = True
            scope["scheme"] = forwarded.scheme(told.getlist("x-forwarded-proto")) or scope["scheme"]
        await self.app(scope, receive, send)


class RequestIds(Middleware):
    """Gives the request its id and logs it."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        scope[REQUEST_ID] = request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        status, began = 0, time.monotonic()

        async def traced(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = _with(message, [(b"x-request-id", request_id.encode())])
            await send(message)

        with logging.bound(request_id=request_id):
            await self.app(scope, receive, traced)
            took_ms = round((time.monotonic() - began) * 1000, 1)
            log.info("request", method=scope["method"], path=scope["path"], status=status, took_ms=took_ms)


class RequestMetrics(Middleware):
    """Counts the answer by the route that gave it, and how long it took to begin."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        began = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                process_metrics.count_response(_route(scope), scope["method"], message["status"], time.monotonic() - began)
            await send(message)

        await self.app(scope, receive, counted)


class SecurityHeaders(Middleware):
    """Security headers on every answer; over https also the order to stay there, and cookies that do.

    `secure` is whether people come over https: True, False, or None when the request tells.
    """

    def __init__(self, app: ASGIApp, secure: bool | None):
        super().__init__(app)
        self.secure = secure
        self.headers = [
            (b"content-security-policy", _CSP.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"x-frame-options", b"DENY"),
        ]

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        secure = self.secure if self.secure is not None else scope["scheme"] == "https"

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                if secure:
                    message = _kept_on_https(message)
                message = _with(message, self.headers)
                headers = MutableHeaders(scope=message)
                headers.setdefault("cache-control", "no-store")
                headers.add_vary_header("Accept")
            await send(message)

        await self.app(scope, receive, guarded)


class Shared(Middleware):
    """CORS: the configured origins may call with credentials. Others hear nothing of it, so browsers refuse them."""

    def __init__(self, app: ASGIApp, origins: list[str]):
        super().__init__(app)
        self.origins = origins

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin not in self.origins:
            await self.app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            sharing = _sharing(send, _shared(origin) | _PREFLIGHT)
            await sharing({"type": "http.response.start", "status": 204, "headers": []})
            await sharing({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, receive, _sharing(send, _shared(origin)))


class CrashHandler(Middleware):
    """Logs what nobody expected, and answers for it without a word about the inside."""

    def __init__(self, app: ASGIApp, answer: Callable[[], ASGIApp]):
        super().__init__(app)
        self.answer = answer

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception:
            log.exception("request crashed", method=scope["method"], path=scope["path"])
            if not started:
                await self.answer()(scope, receive, send)


class BodyLimit(Middleware):
    """Lets no more than `BODY_LIMIT` bytes of a body through. Reading on raises `PayloadTooLarge`."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        size = 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size <= BODY_LIMIT:
                return message
            while message.get("more_body") and size < _DRAINED:
                message = await receive()
                size += len(message.get("body", b""))
            raise PayloadTooLarge(f"A body has at most {BODY_LIMIT // 1024} KiB.")

        await self.app(scope, bounded, send)


def _route(scope: Scope) -> str | None:
    """The template of the route that answers, never the path that was asked for."""
    if scope["path"].startswith("/static/"):
        return "/static"
    return getattr(scope.get(JSON_SCOPE, scope).get("route"), "path", None)


def _with(message: Message, headers: list[tuple[bytes, bytes]]) -> Message:
    """The beginning of an answer with headers besides, which no route sets itself."""
    return {**message, "headers": [*message["headers"], *headers]}


def _kept_on_https(message: Message) -> Message:
    headers = [(n, v + b"; Secure" if n == b"set-cookie" else v) for n, v in message["headers"]]
    return _with({**message, "headers": headers}, [(b"strict-transport-security", b"max-age=31536000")])


def _shared(origin: str) -> dict[str, str]:
    return {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-request-id, retry-after",
    }


def _sharing(send: Send, shared: dict[str, str]) -> Send:
    async def sharing(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer = MutableHeaders(scope=message)
            answer.update(shared)
            answer.add_vary_header("Origin")
        await send(message)

    return sharing


def _request_id(given: str | None) -> str:
    if given and len(given) <= 128 and given.isascii() and given.isprintable():
        return given
    return uuid4().hex
