"""The choice between a page and a JSON route for one URL."""

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proofdesk.http.dependencies import IS_HEAD, JSON_APP, JSON_SCOPE, is_form
from proofdesk.http.middleware import Middleware

_JSON_PREFIXES = ("/api/v1", "/api", "/v1")


class PageRouting(Middleware):
    """Sends a request to the pages or to the JSON routes, whose four prefixes become one: `/x`, `/api/x` → `/v1/x`.

    A page answers a GET that accepts text/html, a form, and a URL that has no JSON route.
    """

    def __init__(self, app: ASGIApp, pages: ASGIApp, page_routes: list[BaseRoute]):
        super().__init__(app)
        self.pages = pages
        self.page_routes = page_routes

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        scope[JSON_APP] = scope["app"]
        original_scope = scope
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET", IS_HEAD: True}, _without_body(send)
        path = scope["path"]
        prefix = next((p for p in _JSON_PREFIXES if path == p or path.startswith(p + "/")), None)
        if prefix is None and self.is_page(scope):
            await self.pages(scope, receive, send)
        else:
            json_path = f"/v1{path[len(prefix or '') :]}"
            json_scope = {**scope, "path": json_path, "raw_path": json_path.encode()}
            original_scope[JSON_SCOPE] = json_scope
            await self.app(json_scope, receive, send)

    def is_page(self, scope: Scope) -> bool:
        """Return whether a request without a JSON prefix is for a page."""
        headers = Headers(scope=scope)
        if scope["path"].startswith(("/static/", "/help/", "/calendar/")):  # files, which nobody asks for as HTML
            return True
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return self._has_page(scope) or not self._has_json_route(scope)
        return is_form(headers.get("content-type", "")) and self._has_page(scope)

    def _has_page(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self.page_routes)

    def _has_json_route(self, scope: Scope) -> bool:
        routes = scope["app"].routes
        return any(route.matches({**scope, "path": f"/v1{scope['path']}"})[0] is not Match.NONE for route in routes)


def _without_body(send: Send) -> Send:
    async def send_headers(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_headers
