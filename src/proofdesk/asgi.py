"""The server: middleware, routes, the table of errors, and what is opened for as long as it runs."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from proofdesk import api, edge, logs, resources, settings, web
from proofdesk.api.answers import failure
from proofdesk.errors import Conflict, Denied, Invalid, NotFound, ProofdeskError, Unavailable
from proofdesk.request import Unauthorized, clear_cookies, session_token
from proofdesk.settings import Settings
from proofdesk.web import shell

log = logs.get(__name__)


@dataclass(frozen=True)
class Failure:
    """An error as a door tells it."""

    status: int
    code: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def from_environment() -> FastAPI:
    """The application of a server process. The database is that of DATABASE_URL, which whoever starts it has set."""
    loaded = settings.load()
    logs.setup(loaded)
    return create_app(loaded, os.environ["DATABASE_URL"])


def create_app(loaded: Settings, database_url: str) -> FastAPI:
    """The application: JSON under /v1, pages beside it."""
    loaded = loaded.model_copy(update={"database_url": SecretStr(database_url)})

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with resources.opened(loaded) as opened:
            yield {"resources": opened}

    json_app = _app(api.ROUTERS, _tell_program, lifespan=lifespan)
    pages = _app(web.ROUTERS, _tell_person)
    pages.add_exception_handler(Exception, _tell_person)
    shell.serve_static(pages)
    # The last one added is the first one passed.
    json_app.add_middleware(edge.Doors, pages=pages, page_routes=pages.routes)
    json_app.add_middleware(edge.Bounded)
    json_app.add_middleware(edge.Caught, answer=_crashed)
    json_app.add_middleware(edge.Shared, origins=loaded.cors_origins)
    json_app.add_middleware(edge.Guarded, https=loaded.secure_cookies)
    json_app.add_middleware(edge.Traced)
    return json_app


def translated(error: Exception) -> Failure:
    """The one table that turns errors into HTTP."""
    match error:
        case edge.PayloadTooLarge():
            status = 413
        case Invalid():
            status = 400
        case Denied():
            wait = {"retry-after": str(error.retry_after)} if error.retry_after else {}
            return Failure(error.status, error.code, error.message, error.details, wait)
        case NotFound():
            status = 404
        case Conflict():
            status = 409
        case Unavailable():
            status = 502 if error.configured and error.code != "database_unavailable" else 503
        case RequestValidationError():
            return Failure(400, "invalid_request", "Some fields are not as they should be.", {"fields": _fields(error)})
        case psycopg.DataError():
            return Failure(400, "invalid_request", "A value is out of the range that can be stored.")
        case HTTPException():
            return _refused(error)
        case _:
            return Failure(500, "internal_error", "Something went wrong; the log tells what, under this request id.")
    assert isinstance(error, ProofdeskError)
    return Failure(status, error.code, error.message, error.details)


def _refused(error: HTTPException) -> Failure:
    said = {
        404: ("not_found", "There is nothing here."),
        405: ("method_not_allowed", "This method is not allowed here."),
    }
    code, message = said.get(error.status_code, ("invalid_request", "The request cannot be read."))
    return Failure(error.status_code, code, message, headers=dict(error.headers or {}))


def _fields(error: RequestValidationError) -> list[dict[str, str]]:
    return [{"path": ".".join(map(str, e["loc"][1:])) or str(e["loc"][0]), "message": e["msg"]} for e in error.errors()]


def _app(routers: list[Any], tell: Any, **options: Any) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, **options)
    for router in routers:
        app.router.routes.extend(router.routes)
    for kind in (ProofdeskError, RequestValidationError, HTTPException, psycopg.DataError):
        app.add_exception_handler(kind, tell)
    return app


async def _tell_program(request: Request, error: Exception) -> Response:
    told = _noted(error)
    answer = failure(told.status, told.code, told.message, told.details, told.headers)
    if isinstance(error, Unauthorized) and session_token(request):
        clear_cookies(answer, request.state.resources.settings)
    return answer


async def _tell_person(request: Request, error: Exception) -> Response:
    told = _noted(error)
    if isinstance(error, Unauthorized):
        return shell.to_login(request)
    return shell.error_page(request, told.status, told.code, told.message, told.headers)


def _noted(error: Exception) -> Failure:
    told = translated(error)
    if isinstance(error, psycopg.Error):
        log.warning("value refused by the database", error=str(error))
    return told


def _crashed() -> Response:
    told = translated(Exception())
    return failure(told.status, told.code, told.message)
