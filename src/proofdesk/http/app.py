"""The server: middleware, routes, how errors are told, and what is opened for as long as it runs."""

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
from proofdesk.errors import ProofdeskError
from proofdesk.http import api, compression, errors, middleware, routing
from proofdesk.http.cookies import clear_session_cookies, session_token
from proofdesk.http.dependencies import Unauthorized
from proofdesk.http.errors import ErrorResponse
from proofdesk.http.responses import failure
from proofdesk.http.web import assets, layout, routers
from proofdesk.jobs import resources
from proofdesk.settings import Settings

log = logging.get_logger(__name__)

# FastAPI's own would send addresses, with what people search for, wherever the environment says; `monitoring` counts
# without them. Looking whether it is wanted took a quarter of a request that reads nothing.
_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False}


def from_environment() -> FastAPI:
    """The application of a server process. The database is that of DATABASE_URL, which whoever starts it has set."""
    loaded = settings.load()
    logging.setup(loaded)
    return create_app(loaded, os.environ["DATABASE_URL"])


def create_app(loaded: Settings, database_url: str) -> FastAPI:
    """The application: JSON under /v1, pages beside it."""
    loaded = loaded.model_copy(update={"database_url": SecretStr(database_url)})

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with resources.open_resources(loaded) as opened:
            looking = asyncio.create_task(process_metrics.sample_continuously(opened.db, opened.feed))
            # What is there by now stays: looking through it for garbage held up every hundredth request for long.
            gc.collect()
            gc.freeze()
            with _when_stopping(opened.feed.close):
                yield {"resources": opened, "board": MetricsCache(opened.db, loaded)}
            looking.cancel()

    json_app = _app(api.ROUTERS, _tell_program, lifespan=lifespan)
    pages = _app(routers.ROUTERS, _tell_person)
    pages.add_exception_handler(Exception, _tell_person)
    assets.serve(pages)
    pages.add_middleware(compression.PageCompression)
    # The last one added is the first one passed.
    json_app.add_middleware(routing.PageRouting, pages=pages, page_routes=pages.routes)
    json_app.add_middleware(middleware.BodyLimit)
    json_app.add_middleware(middleware.CrashHandler, answer=_crashed)
    json_app.add_middleware(middleware.Shared, origins=loaded.cors_origins)
    json_app.add_middleware(middleware.SecurityHeaders, secure=loaded.secure_cookies)
    json_app.add_middleware(middleware.RequestMetrics)
    json_app.add_middleware(middleware.RequestIds)
    json_app.add_middleware(middleware.ForwardedAddresses, proxies=loaded.proxies)
    return json_app


def _app(routers: list[Any], tell: Any, **options: Any) -> FastAPI:
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=_NO_TELEMETRY, **options
    )
    for router in routers:
        app.router.routes.extend(router.routes)
    for kind in (
        ProofdeskError,
        RequestValidationError,
        HTTPException,
        psycopg.DataError,
        psycopg.errors.ProgramLimitExceeded,
    ):
        app.add_exception_handler(kind, tell)
    return app


@contextmanager
def _when_stopping(act: Callable[[], None]) -> Iterator[None]:
    """Do something as soon as the process is told to stop.

    The server waits for open answers before it ends the lifespan, and a stream would never end by itself.
    """
    if threading.current_thread() is not threading.main_thread():  # only there may signals be waited for
        yield
        return
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    # Those of the event loop are told in another way, which this leaves as it is.
    former = {number: signal.getsignal(number) for number in numbers}

    def stopping(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        if callable(handler := former[signal.Signals(number)]):
            handler(number, frame)

    for number in numbers:
        signal.signal(number, stopping)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


async def _tell_program(request: Request, error: Exception) -> Response:
    told = _noted(error)
    answer = failure(told.status, told.code, told.message, told.details, told.headers)
    if isinstance(error, Unauthorized) and session_token(request):
        clear_session_cookies(answer, request.state.resources.settings)
    return answer


async def _tell_person(request: Request, error: Exception) -> Response:
    told = _noted(error)
    if isinstance(error, Unauthorized):
        return layout.to_login(request)
    return await layout.error_page(request, told)


def _noted(error: Exception) -> ErrorResponse:
    told = errors.describe_error(error)
    if isinstance(error, psycopg.Error):
        log.warning("value refused by the database", error=type(error).__name__, sqlstate=error.sqlstate)
    return told


def _crashed() -> Response:
    told = errors.describe_error(Exception())
    return failure(told.status, told.code, told.message)
