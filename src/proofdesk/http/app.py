"""The ASGI application: routes, middleware, error responses, and resources that stay open while the server runs."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from proofdesk import logging, settings
from proofdesk.dashboard import process_metrics
from proofdesk.dashboard.database_metrics import MetricsCache
from proofdesk.digests.observers import OBSERVERS
from proofdesk.errors import ProofdeskError
from proofdesk.http import api, compression, errors, middleware, routing, webhooks
from proofdesk.http.cookies import clear_session_cookies, session_token
from proofdesk.http.dependencies import Unauthorized
from proofdesk.http.errors import INTERNAL_ERROR, HttpError
from proofdesk.http.responses import failure
from proofdesk.http.web import assets, error_pages, routers
from proofdesk.incidents import watching
from proofdesk.indexing.embeddings import factory
from proofdesk.jobs import resources
from proofdesk.settings import Settings

log = logging.get_logger(__name__)

JSON_ROUTERS = [*api.ROUTERS, *webhooks.ROUTERS]

# FastAPI's own telemetry would send URLs, which contain search queries, to whatever endpoint the environment names.
# `process_metrics` counts without them. Checking whether it is enabled took a quarter of a request's time.
_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False}
_HANDLED_ERRORS = (ProofdeskError, RequestValidationError, HTTPException, psycopg.Error)


def from_environment() -> FastAPI:
    """Return the application of a server process. DATABASE_URL must be set."""
    loaded = settings.load()
    logging.setup(loaded)
    return create_app(loaded, os.environ["DATABASE_URL"])


def create_app(loaded: Settings, database_url: str) -> FastAPI:
    """Return the application: JSON routes under /v1, pages beside them."""
    loaded = loaded.model_copy(update={"database_url": SecretStr(database_url)})
    json_app = _app(JSON_ROUTERS, _error_to_json, lifespan=_lifespan(loaded))
    pages = _app(routers.ROUTERS, _error_to_page)
    pages.add_exception_handler(Exception, _error_to_page)
    assets.serve(pages)
    pages.add_middleware(compression.PageCompression)
    # The last one added is the first to see a request.
    json_app.add_middleware(routing.PageRouting, pages=pages, page_routes=pages.routes)
    json_app.add_middleware(middleware.BodyLimit)
    json_app.add_middleware(middleware.CrashHandler, answer=_internal_error)
    json_app.add_middleware(middleware.AllowedOrigins, origins=loaded.cors_origins)
    json_app.add_middleware(middleware.SecurityHeaders, secure=loaded.secure_cookies)
    json_app.add_middleware(middleware.RequestMetrics)
    json_app.add_middleware(middleware.RequestIds)
    json_app.add_middleware(middleware.ForwardedAddresses, proxies=loaded.proxies)
    return json_app


def _app(routers: list[Any], handle_error: Any, **options: Any) -> FastAPI:
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=_NO_TELEMETRY, **options
    )
    for router in routers:
        app.router.routes.extend(router.routes)
    for kind in _HANDLED_ERRORS:
        app.add_exception_handler(kind, handle_error)
    return app


def _lifespan(loaded: Settings) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with resources.open_resources(loaded, observers=OBSERVERS) as opened:
            metrics = asyncio.create_task(process_metrics.sample_continuously(opened.db, opened.feed))
            guard = asyncio.create_task(watching.guard(opened))
            warm_up = asyncio.create_task(factory.warm_up(opened.provider))
            # Objects that exist now live as long as the process. Collecting them delayed every hundredth request.
            gc.collect()
            gc.freeze()
            with _call_on_stop(opened.feed.close):
                yield {"resources": opened, "board": MetricsCache(opened.db, loaded)}
            metrics.cancel()
            guard.cancel()
            warm_up.cancel()

    return lifespan


@contextmanager
def _call_on_stop(callback: Callable[[], None]) -> Iterator[None]:
    """Call back as soon as the process is told to stop.

    The server waits for open responses before it ends the lifespan, and a stream would never end by itself.
    """
    if threading.current_thread() is not threading.main_thread():  # signals arrive only there
        yield
        return
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    # Handlers of the event loop are registered in another way and stay in place.
    previous = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        if callable(handler := previous[signal.Signals(number)]):
            handler(number, frame)

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


async def _error_to_json(request: Request, error: Exception) -> Response:
    response = _to_json(_describe(error))
    if isinstance(error, Unauthorized) and session_token(request):
        clear_session_cookies(response, request.state.resources.settings)
    return response


async def _error_to_page(request: Request, error: Exception) -> Response:
    described = _describe(error)
    if isinstance(error, Unauthorized):
        return error_pages.redirect_to_login(request)
    return await error_pages.render_error(request, described)


def _describe(error: Exception) -> HttpError:
    described = errors.describe_error(error)
    if isinstance(error, psycopg.Error):
        report = log.error if described is INTERNAL_ERROR else log.warning
        report("database error", error=type(error).__name__, sqlstate=error.sqlstate, exc_info=error)
    return described


def _internal_error() -> Response:
    return _to_json(INTERNAL_ERROR)


def _to_json(error: HttpError) -> Response:
    return failure(error.status, error.code, error.message, error.details, error.headers)
