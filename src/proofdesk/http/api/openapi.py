"""JSON: the description of this API, for programs."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from proofdesk import __version__
from proofdesk.errors import ProofdeskError
from proofdesk.http import errors
from proofdesk.http.api.error_codes import CODES_BY_ROUTE, MEANINGS
from proofdesk.http.dependencies import CurrentSession, needs_session
from proofdesk.http.json_routes import JsonRoute
from proofdesk.http.schemas import FailureSchema

router = APIRouter(prefix="/v1", route_class=JsonRoute)

ABOUT = (
    "Every answer is an object with ok and request_id. Sign in with POST /v1/auth/login, keep the cookies, and "
    "send the CSRF cookie's value in the header x-csrf-token with every change. Every route also answers under /, "
    "/api and /api/v1. A header x-request-id (printable ASCII, at most 128 characters) is taken over into the answer, "
    "the log and everything that the request causes."
)
_SCHEMES = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sid",
        "description": "Set by signing in. Its name is that of SESSION_COOKIE_NAME.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "x-csrf-token",
        "description": "The value of the cookie csrf_token (CSRF_COOKIE_NAME), which scripts may read.",
    },
}
_REQUEST_ID = {"description": "The id of the request.", "schema": {"type": "string"}, "required": True}
_RETRY_AFTER = {"description": "Seconds until the next try.", "schema": {"type": "integer", "minimum": 1}}


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, session: CurrentSession) -> JSONResponse:
    """OpenAPI 3.1."""
    return JSONResponse(build_document(request.app))


def build_document(app: FastAPI) -> dict[str, Any]:
    """The document, made once: with the errors of each route, and what it needs."""
    if app.openapi_schema is None:
        document = get_openapi(title="Proofdesk", version=__version__, description=ABOUT, routes=app.routes)
        document["components"]["schemas"] |= {"Failure": FailureSchema.model_json_schema()}
        document["components"]["securitySchemes"] = _SCHEMES
        for route in app.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                for method in route.methods or ():
                    _complete(document["paths"][route.path_format][method.lower()], route, method)
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema


def route_codes(route: APIRoute, method: str) -> errors.Codes:
    """Every code that a route may give, by status."""
    found = errors.inherited_codes(route, method)
    for status, own in CODES_BY_ROUTE.get(f"{method} {route.path_format}", {}).items():
        found[status] = found.get(status, set()) | set(own.split())
    return found


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    answers = operation["responses"]
    answers.pop("422", None)
    for status, given in sorted(route_codes(route, method).items()):
        answers[str(status)] = _failure(status, sorted(given))
    for answer in answers.values():
        answer.setdefault("headers", {})["x-request-id"] = _REQUEST_ID
    if needs_session(route.dependant):
        operation["security"] = [{"session": []} if method == "GET" else {"session": [], "csrf": []}]


def _failure(status: int, given: list[str]) -> dict[str, Any]:
    content = {
        "schema": {"allOf": [{"$ref": "#/components/schemas/Failure"}, {"properties": {"error": {"enum": given}}}]},
        "examples": {code: _example(code) for code in given},
    }
    headers: dict[str, Any] = {"retry-after": _RETRY_AFTER} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    described = f"{HTTPStatus(status).phrase}: {', '.join(given)}"
    return {"description": described, "content": {"application/json": content}, "headers": headers}


def _example(code: str) -> dict[str, Any]:
    meaning = _meanings().get(code, "")
    value: dict[str, Any] = {"ok": False, "error": code, "message": meaning, "request_id": "5f0c9c1f3f9b4d59"}
    if code == "invalid_request":
        value["message"] = "Some fields are not as they should be."
        value["details"] = {"fields": [{"path": "limit", "message": "Input should be a valid integer"}]}
    return {"summary": meaning, "value": value}


def _meanings() -> dict[str, str]:
    """What each code means, as its class says where it has one."""
    waiting: list[type[ProofdeskError]] = [ProofdeskError]
    found: dict[str, str] = {}
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, (kind.__doc__ or "").splitlines()[0])
        waiting += kind.__subclasses__()
    return found | MEANINGS
