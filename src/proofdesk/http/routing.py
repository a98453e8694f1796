"""Which door a request takes: that of the pages or that of JSON."""

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proofdesk.http.dependencies import IS_HEAD, JSON_APP, JSON_SCOPE, is_form
from proofdesk.http.middleware import Middleware

_JSON_PREFIXES = ("/api/v1", "/api", "/v1")


class PageRouting(Middleware):
    """Leads to a page or to JSON, and JSON's four prefixes to one: `/x`, `/api/x` and `/api/v1/x` to `/v1/x`.

    A page is asked for by a GET that accepts text/html, by a form, and by whatever has no JSON under its name.
    """

    def __init__(self, app: ASGIApp, pages: ASGIApp, page_routes: list[BaseRoute]):
        super().__init__(app)
        self.pages = pages
        self.page_routes = page_routes

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        scope[JSON_APP] = scope["app"]
        asked = scope
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET", IS_HEAD: True}, _bodiless(send)
        path = scope["path"]
        prefix = next((p for p in _JSON_PREFIXES if path == p or path.startswith(p + "/")), None)
        if prefix is None and self.is_page(scope):
            await self.pages(scope, receive, send)
        else:
            rest = path[len(prefix or "") :]
            inside = {**scope, "path": f"/v1{rest}", "raw_path": f"/v1{rest}".encode()}
            asked[JSON_SCOPE] = inside
            await self.app(inside, receive, send)

    def is_page(self, scope: Scope) -> bool:
        """Whether a request without prefix is for a page."""
        headers = Headers(scope=scope)
        if scope["path"].startswith("/static/"):
            return True
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return self._has_page(scope) or not self._has_json(scope)
        return is_form(headers.get("content-type", "")) and self._has_page(scope)

    def _has_page(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self.page_routes)

    def _has_json(self, scope: Scope) -> bool:
        routes = scope["app"].routes
        return any(route.matches({**scope, "path": f"/v1{scope['path']}"})[0] is not Match.NONE for route in routes)


def _bodiless(send: Send) -> Send:
    async def headers_only(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return headers_only
