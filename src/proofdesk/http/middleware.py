"""ASGI middleware around every request, outermost first as `app.create_app` adds it."""

import time
from collections.abc import Callable
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proofdesk import logging
from proofdesk.dashboard import process_metrics
from proofdesk.errors import Invalid
from proofdesk.http import forwarded
from proofdesk.http.dependencies import FORWARDED, JSON_SCOPE, REQUEST_ID
from proofdesk.http.responses import failure

log = logging.get_logger(__name__)

BODY_LIMIT = 256 * 1024
# A client that is cut off while it sends may never read the response, so this much is read and discarded.
_DISCARD_LIMIT = 16 * 1024 * 1024
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class PayloadTooLarge(Invalid):
    """The body is longer than `BODY_LIMIT`."""

    code = "payload_too_large"


class Middleware:
    """Base of ASGI middleware for requests. Other events, such as the server's start and end, pass unchanged."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.handle if scope["type"] == "http" else self.app)(scope, receive, send)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        await self.app(scope, receive, send)


class ForwardedAddresses(Middleware):
    """Replaces the client's address and scheme by those that a trusted proxy reports."""

    def __init__(self, app: ASGIApp, proxies: list[forwarded.Network]):
        super().__init__(app)
        self.proxies = proxies

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        peer = forwarded.parse_address(scope["client"][0]) if scope.get("client") else None
        if peer is not None and forwarded.is_trusted(peer, self.proxies):
            headers = Headers(scope=scope)
            client = forwarded.client_address(peer, headers.getlist("x-forwarded-for"), self.proxies)
            scope["client"] = (str(client), 0)
            scope[FORWARDED] = True
            scope["scheme"] = forwarded.scheme(headers.getlist("x-forwarded-proto")) or scope["scheme"]
        await self.app(scope, receive, send)


class RequestIds(Middleware):
    """Gives each request its id and writes one log line about it."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        scope[REQUEST_ID] = request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        status, started = 0, time.monotonic()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = _add_headers(message, [(b"x-request-id", request_id.encode())])
            await send(message)

        with logging.bind_context(request_id=request_id):
            await self.app(scope, receive, send_with_id)
            took_ms = round((time.monotonic() - started) * 1000, 1)
            log.info("request", method=scope["method"], path=scope["path"], status=status, took_ms=took_ms)


class RequestMetrics(Middleware):
    """Counts responses by route, and measures the time until each starts."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        started = time.monotonic()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                duration = time.monotonic() - started
                process_metrics.count_response(_route_template(scope), scope["method"], message["status"], duration)
            await send(message)

        await self.app(scope, receive, send_counted)


class SecurityHeaders(Middleware):
    """Adds security headers to every response; over https also HSTS and the Secure attribute of cookies.

    `secure` tells whether the site is used over https: True, False, or None to decide by the request's scheme.
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

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                if secure:
                    message = _require_https(message)
                message = _add_headers(message, self.headers)
                headers = MutableHeaders(scope=message)
                headers.setdefault("cache-control", "no-store")
                headers.add_vary_header("Accept")
            await send(message)

        await self.app(scope, receive, send_secured)


class AllowedOrigins(CORSMiddleware):
    """CORS with credentials for the configured origins.

    A request of another origin gets no CORS header, so that its browser refuses the response.
    """

    def __init__(self, app: ASGIApp, origins: list[str]):
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["x-csrf-token", "x-project-id", "x-request-id"],
            expose_headers=["x-request-id", "retry-after"],
            allow_credentials=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        is_allowed = scope["type"] == "http" and Headers(scope=scope).get("origin") in self.allow_origins
        await (super().__call__ if is_allowed else self.app)(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the response to a preflight request. A refusal has the envelope of every other error."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        kept = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return failure(400, "invalid_request", f"{bytes(response.body).decode()}.", headers=kept)


class CrashHandler(Middleware):
    """Logs an unexpected error and sends a response that reveals nothing about it."""

    def __init__(self, app: ASGIApp, answer: Callable[[], ASGIApp]):
        super().__init__(app)
        self.answer = answer

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        except Exception:
            log.exception("request crashed", method=scope["method"], path=scope["path"])
            if not started:
                await self.answer()(scope, receive, send)


class BodyLimit(Middleware):
    """Refuses bodies over `BODY_LIMIT` bytes: reading beyond it raises `PayloadTooLarge`."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        size = 0

        async def receive_limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size <= BODY_LIMIT:
                return message
            while message.get("more_body") and size < _DISCARD_LIMIT:
                message = await receive()
                size += len(message.get("body", b""))
            raise PayloadTooLarge(f"The body is longer than {BODY_LIMIT // 1024} KiB. Send less.")

        await self.app(scope, receive_limited, send)


def _route_template(scope: Scope) -> str | None:
    """Return the template of the route that responds, never the path of the request."""
    if scope["path"].startswith("/static/"):
        return "/static"
    return getattr(scope.get(JSON_SCOPE, scope).get("route"), "path", None)


def _add_headers(start: Message, headers: list[tuple[bytes, bytes]]) -> Message:
    return {**start, "headers": [*start["headers"], *headers]}


def _require_https(start: Message) -> Message:
    headers = [(n, v + b"; Secure" if n == b"set-cookie" else v) for n, v in start["headers"]]
    return _add_headers({**start, "headers": headers}, [(b"strict-transport-security", b"max-age=31536000")])


def _request_id(header: str | None) -> str:
    if header and len(header) <= 128 and header.isascii() and header.isprintable():
        return header
    return uuid4().hex
