"""Every error response that a test provokes must be declared in the OpenAPI description of its route."""

from functools import cache

import httpx2
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match

from proofdesk.http import app as http_app
from proofdesk.http.api import openapi
from proofdesk.settings import Settings

PREFIXES = ("/api/v1", "/api", "/v1")


async def check_declared(response: httpx2.Response) -> None:
    """Fail the test when the route does not declare this status and error code."""
    if not response.headers.get("content-type", "").startswith("application/json"):
        return
    await response.aread()
    request = response.request
    if request.method == "HEAD":
        return
    body = response.json()
    route = _route(request.method, request.url.path)
    if route is not None and body.get("ok") is False:
        declared = openapi.route_codes(route, request.method).get(response.status_code, set())
        assert body["error"] in declared, (
            f"{request.method} {route.path} responded {response.status_code} {body['error']}. "
            "Declare it at the route, or for its right."
        )


@cache
def app() -> FastAPI:
    """Return the application. It is never started: tests read its routes."""
    return http_app.create_app(Settings(), "postgresql://nowhere")


def _route(method: str, path: str) -> APIRoute | None:
    prefix = next((p for p in PREFIXES if path == p or path.startswith(p + "/")), "")
    scope = {"type": "http", "method": method, "path": f"/v1{path[len(prefix) :]}", "headers": [], "query_string": b""}
    routes = (r for r in app().routes if isinstance(r, APIRoute) and r.include_in_schema)
    return next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)
