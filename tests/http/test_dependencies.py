"""Dependencies of handlers, and the framework's telemetry."""

import gc
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from opentelemetry import metrics, trace

from proofdesk.http import app as http_app
from proofdesk.http.app import JSON_ROUTERS
from proofdesk.http.web import routers
from proofdesk.settings import Settings

ROUTES = [r for router in (*JSON_ROUTERS, *routers.ROUTERS) for r in router.routes if isinstance(r, APIRoute)]


def _called(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    if dependant.call is not None:
        yield dependant.call
    for inner in dependant.dependencies:
        yield from _called(inner)


def test_no_request_is_handled_in_a_thread():
    functions = {call for route in ROUTES for call in _called(route.dependant)}
    assert len(functions) > len(ROUTES) / 2
    assert [c for c in functions if not (inspect.iscoroutinefunction(c) or inspect.isasyncgenfunction(c))] == []


async def test_telemetry_of_the_framework_is_off(monkeypatch: pytest.MonkeyPatch):
    app = http_app.create_app(Settings(embedding_provider="local"), "postgresql://nowhere/none")
    calls: list[str] = []
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: calls.append("tracing"))
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: calls.append("metrics"))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://here") as client:
        assert (await client.get("/health")).status_code == 200
    assert calls == []


async def test_objects_of_a_started_server_are_frozen(database_url: str):
    app = http_app.create_app(Settings(embedding_provider="local"), database_url)
    gc.unfreeze()
    async with app.router.lifespan_context(app):
        assert gc.get_freeze_count() > 10_000
    gc.unfreeze()
