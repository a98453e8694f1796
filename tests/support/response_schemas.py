"""Whatever a test provokes: an error that the API gives must be one that its description tells of."""

from functools import cache

import httpx2
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match

from proofdesk.http import app as http_app
from proofdesk.http.api import openapi
from proofdesk.settings import Settings

PREFIXES = ("/api/v1", "/api", "/v1")


async def is_declared(answer: httpx2.Response) -> None:
    """Fail the test when the code or status is not in the description of the route."""
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return
    await answer.aread()
    asked = answer.request
    if asked.method == "HEAD":
        return
    told = answer.json()
    route = _route(asked.method, asked.url.path)
    if route is not None and told.get("ok") is False:
        declared = openapi.route_codes(route, asked.method).get(answer.status_code, set())
        assert told["error"] in declared, (
            f"{asked.method} {route.path} gave {answer.status_code} {told['error']}: "
            "tell it in api/refusals.py, or in failures.by_right"
        )


HOOKS = {"response": [is_declared]}


@cache
def app() -> FastAPI:
    """The application, to ask for its routes."""
    return http_app.create_app(Settings(), "postgresql://nowhere")


def _route(method: str, path: str) -> APIRoute | None:
    prefix = next((p for p in PREFIXES if path == p or path.startswith(p + "/")), "")
    scope = {"type": "http", "method": method, "path": f"/v1{path[len(prefix) :]}", "headers": [], "query_string": b""}
    found = (r for r in app().routes if isinstance(r, APIRoute) and r.include_in_schema)
    return next((route for route in found if route.matches(scope)[0] is Match.FULL), None)
