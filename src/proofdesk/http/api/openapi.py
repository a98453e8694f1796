"""JSON: the OpenAPI document of this API."""

import gzip
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute

from proofdesk import __version__
from proofdesk.errors import ProofdeskError
from proofdesk.http import errors
from proofdesk.http.api.error_codes import CODES_BY_ROUTE, MEANINGS
from proofdesk.http.dependencies import CurrentSession, needs_session
from proofdesk.http.json_routes import JsonRoute
from proofdesk.http.schemas import FailureSchema

router = APIRouter(prefix="/v1", route_class=JsonRoute)

_DESCRIPTION = (
    "Every answer is an object with ok and request_id. Sign in with POST /v1/auth/login, keep the cookies, and "
    "send the value of the CSRF cookie in the header x-csrf-token with every change. Every route also exists under /, "
    "/api and /api/v1. The value of a header x-request-id (printable ASCII, at most 128 characters) appears in the "
    "answer, in the log, and in the runs and audit events that the request causes."
)
_SCHEMES = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sid",
        "description": "Set by signing in. SESSION_COOKIE_NAME sets its name.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "x-csrf-token",
        "description": "The value of the cookie csrf_token (CSRF_COOKIE_NAME), which scripts can read.",
    },
}
_REQUEST_ID = {"description": "The id of the request.", "schema": {"type": "string"}, "required": True}
_RETRY_AFTER = {"description": "Seconds until the next attempt.", "schema": {"type": "integer", "minimum": 1}}


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, session: CurrentSession) -> Response:
    """The document, in OpenAPI 3.1. It is hundreds of kilobytes and holds no secret, so it is compressed."""
    response = JSONResponse(build_document(request.app), headers={"vary": "Accept-Encoding"})
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return response
    headers = {"content-encoding": "gzip", "vary": "Accept-Encoding"}
    return Response(gzip.compress(bytes(response.body), 6, mtime=0), headers=headers, media_type="application/json")


def build_document(app: FastAPI) -> dict[str, Any]:
    """Return the document, built once, with the errors and security requirements of each route."""
    if app.openapi_schema is None:
        document = get_openapi(title="Proofdesk", version=__version__, description=_DESCRIPTION, routes=app.routes)
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
    """Return every error code of a route, by status."""
    codes = errors.inherited_codes(route, method)
    for status, own in CODES_BY_ROUTE.get(f"{method} {route.path_format}", {}).items():
        codes[status] = codes.get(status, set()) | set(own.split())
    return codes


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    answers = operation["responses"]
    answers.pop("422", None)
    for status, codes in sorted(route_codes(route, method).items()):
        answers[str(status)] = _failure(status, sorted(codes))
    for answer in answers.values():
        answer.setdefault("headers", {})["x-request-id"] = _REQUEST_ID
    if needs_session(route.dependant):
        operation["security"] = [{"session": []} if method == "GET" else {"session": [], "csrf": []}]


def _failure(status: int, codes: list[str]) -> dict[str, Any]:
    content = {
        "schema": {"allOf": [{"$ref": "#/components/schemas/Failure"}, {"properties": {"error": {"enum": codes}}}]},
        "examples": {code: _example(code) for code in codes},
    }
    headers: dict[str, Any] = {"retry-after": _RETRY_AFTER} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    description = f"{HTTPStatus(status).phrase}: {', '.join(codes)}"
    return {"description": description, "content": {"application/json": content}, "headers": headers}


def _example(code: str) -> dict[str, Any]:
    meaning = _meanings().get(code, "")
    value: dict[str, Any] = {"ok": False, "error": code, "message": meaning, "request_id": "5f0c9c1f3f9b4d59"}
    if code == "invalid_request":
        value["message"] = "Some fields are invalid."
        value["details"] = {"fields": [{"path": "limit", "message": "Input should be a valid integer"}]}
    return {"summary": meaning, "value": value}


def _meanings() -> dict[str, str]:
    """Return the meaning of each code: the docstring of its class, unless `MEANINGS` has one."""
    stack: list[type[ProofdeskError]] = [ProofdeskError]
    meanings: dict[str, str] = {}
    while stack:
        kind = stack.pop()
        meanings.setdefault(kind.code, (kind.__doc__ or "").splitlines()[0])
        stack += kind.__subclasses__()
    return meanings | MEANINGS
