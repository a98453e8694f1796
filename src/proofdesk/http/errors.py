"""How errors become HTTP responses, and which error codes a route can return."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from proofdesk.accounts import csrf
from proofdesk.database.errors import classify, is_data_error
from proofdesk.errors import Conflict, Denied, Invalid, NotFound, ProofdeskError, Unavailable
from proofdesk.http import dependencies, middleware

Codes = dict[int, set[str]]


@dataclass(frozen=True)
class HttpError:
    """An error as JSON and pages show it."""

    status: int
    code: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


INTERNAL_ERROR = HttpError(
    500, "internal_error", "Proofdesk failed unexpectedly. The log shows the cause under this request id."
)
_HTTP_ERRORS = {
    404: ("not_found", "There is no page or route with this URL."),
    405: ("method_not_allowed", "This route does not support this method."),
}


def describe_error(error: Exception) -> HttpError:
    """Return the response for an error; `INTERNAL_ERROR` for one that no rule covers."""
    match error:
        case ProofdeskError():
            return _describe_own(error)
        case RequestValidationError():
            return HttpError(400, "invalid_request", "Some fields are invalid.", {"fields": _fields(error)})
        case psycopg.Error():
            return _describe_database_error(error)
        case HTTPException():
            code, message = _HTTP_ERRORS.get(error.status_code, ("invalid_request", "The request cannot be read."))
            return HttpError(error.status_code, code, message, headers=dict(error.headers or {}))
        case _:
            return INTERNAL_ERROR


def inherited_codes(route: APIRoute, method: str) -> Codes:
    """Return the codes, by status, that a route can return because of its parameters and rights."""
    changes = method not in csrf.SAFE_METHODS
    codes: Codes = {400: {"invalid_request"}, 500: {"internal_error"}}
    for applies, status, inherited in (
        (_depends_on(route, dependencies._database), 503, "database_unavailable"),
        (_depends_on(route, dependencies.current_session), 503, "database_unavailable"),
        (changes, 413, "payload_too_large"),
        (changes and route.body_field is not None, 400, "invalid_json"),
        (_depends_on(route, dependencies.current_session), 401, "unauthorized"),
        (changes and _depends_on(route, dependencies.current_session), 403, "csrf_invalid"),
        (_depends_on(route, dependencies.project_reader), 409, "active_project_required"),
        (_depends_on(route, dependencies.optional_project), 409, "project_changed"),
        (_depends_on(route, dependencies.named_project), 400, "invalid_project_id"),
        (_depends_on(route, dependencies.named_project), 404, "project_not_found"),
        (_depends_on(route, dependencies.project_editor), 403, "forbidden"),
        (_depends_on(route, dependencies.project_owner), 403, "forbidden"),
        (_depends_on(route, dependencies.owner), 403, "forbidden"),
        (bool(route.dependant.path_params), 404, "not_found"),  # an id with a slash is another path
    ):
        if applies:
            codes[status] = codes.get(status, set()) | {inherited}
    return codes


def _describe_own(error: ProofdeskError) -> HttpError:
    headers: dict[str, str] = {}
    match error:
        case middleware.PayloadTooLarge():
            status = 413
        case Invalid():
            status = 400
        case Denied():
            status = error.status
            headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
        case NotFound():
            status = 404
        case Conflict():
            status = 409
        case Unavailable():
            status = 502 if error.configured and error.code != "database_unavailable" else 503
        case _:
            return INTERNAL_ERROR
    return HttpError(status, error.code, error.message, error.details, headers)


def _describe_database_error(error: psycopg.Error) -> HttpError:
    if is_data_error(error):
        return HttpError(400, "invalid_request", "The database cannot store one of the values.")
    unavailable = classify(error)
    return INTERNAL_ERROR if unavailable is None else _describe_own(unavailable)


def _depends_on(route: APIRoute, dependency: Callable[..., Any]) -> bool:
    def contains(dependant: Dependant) -> bool:
        return dependant.call is dependency or any(map(contains, dependant.dependencies))

    return contains(route.dependant)


def _fields(error: RequestValidationError) -> list[dict[str, str]]:
    return [{"path": ".".join(map(str, e["loc"][1:])) or str(e["loc"][0]), "message": e["msg"]} for e in error.errors()]
