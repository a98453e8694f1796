"""Errors as HTTP tells them: the one table that both doors use, and which of them a route may give."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from proofdesk.accounts import csrf
from proofdesk.errors import Conflict, Denied, Invalid, NotFound, ProofdeskError, Unavailable
from proofdesk.http import dependencies, middleware

Codes = dict[int, set[str]]


@dataclass(frozen=True)
class ErrorResponse:
    """An error as a door tells it."""

    status: int
    code: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def describe_error(error: Exception) -> ErrorResponse:
    """The table."""
    match error:
        case middleware.PayloadTooLarge():
            status = 413
        case Invalid():
            status = 400
        case Denied():
            wait = {"retry-after": str(error.retry_after)} if error.retry_after else {}
            return ErrorResponse(error.status, error.code, error.message, error.details, wait)
        case NotFound():
            status = 404
        case Conflict():
            status = 409
        case Unavailable():
            status = 502 if error.configured and error.code != "database_unavailable" else 503
        case RequestValidationError():
            return ErrorResponse(
                400, "invalid_request", "Some fields are not as they should be.", {"fields": _fields(error)}
            )
        case psycopg.DataError() | psycopg.errors.ProgramLimitExceeded():
            return ErrorResponse(400, "invalid_request", "A value is out of the range that can be stored.")
        case HTTPException():
            return _refused(error)
        case _:
            return ErrorResponse(
                500, "internal_error", "Something went wrong; the log tells what, under this request id."
            )
    assert isinstance(error, ProofdeskError)
    return ErrorResponse(status, error.code, error.message, error.details)


def inherited_codes(route: APIRoute, method: str) -> Codes:
    """The codes, by status, that a route may give because of what it takes and which rights it asks for."""
    changes = method not in csrf.SAFE_METHODS
    found: Codes = {400: {"invalid_request"}, 500: {"internal_error"}}
    for applies, status, codes in (
        (_asks(route, dependencies._database), 503, {"database_unavailable"}),
        (_asks(route, dependencies.current_session), 503, {"database_unavailable"}),
        (changes, 413, {"payload_too_large"}),
        (changes and route.body_field is not None, 400, {"invalid_json"}),
        (_asks(route, dependencies.current_session), 401, {"unauthorized"}),
        (changes and _asks(route, dependencies.current_session), 403, {"csrf_invalid"}),
        (_asks(route, dependencies.project_reader), 409, {"active_project_required"}),
        (_asks(route, dependencies.named_project), 400, {"invalid_project_id"}),
        (_asks(route, dependencies.named_project), 404, {"project_not_found"}),
        (_asks(route, dependencies.project_manager), 403, {"forbidden"}),
        (_asks(route, dependencies.owner), 403, {"forbidden"}),
        (bool(route.dependant.path_params), 404, {"not_found"}),  # an id that holds a slash names another path
    ):
        if applies:
            found[status] = found.get(status, set()) | codes
    return found


def _asks(route: APIRoute, right: Callable[..., Any]) -> bool:
    def anywhere(dependant: Dependant) -> bool:
        return dependant.call is right or any(map(anywhere, dependant.dependencies))

    return anywhere(route.dependant)


def _refused(error: HTTPException) -> ErrorResponse:
    said = {
        404: ("not_found", "There is nothing here."),
        405: ("method_not_allowed", "This method is not allowed here."),
    }
    code, message = said.get(error.status_code, ("invalid_request", "The request cannot be read."))
    return ErrorResponse(error.status_code, code, message, headers=dict(error.headers or {}))


def _fields(error: RequestValidationError) -> list[dict[str, str]]:
    return [{"path": ".".join(map(str, e["loc"][1:])) or str(e["loc"][0]), "message": e["msg"]} for e in error.errors()]
