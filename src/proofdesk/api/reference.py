"""JSON: the description of this API, for programs."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from proofdesk import __version__
from proofdesk.api.answers import Failure
from proofdesk.api.bodies import JsonRoute
from proofdesk.request import Viewer, needs_session

router = APIRouter(prefix="/v1", route_class=JsonRoute)

ABOUT = (
    "Every answer is an object with ok and request_id. Sign in with POST /v1/auth/login, keep the cookies, and "
    "send the CSRF cookie's value in the header x-csrf-token with every change."
)
_FAILURE = {
    "description": "An error",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
}
_SCHEMES = {
    "session": {"type": "apiKey", "in": "cookie", "name": "sid"},
    "csrf": {"type": "apiKey", "in": "header", "name": "x-csrf-token"},
}


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, session: Viewer) -> JSONResponse:
    """OpenAPI 3.1."""
    return JSONResponse(described(request.app))


def described(app: FastAPI) -> dict[str, Any]:
    """The document, made once: with errors as they are, and what each route needs."""
    if app.openapi_schema is None:
        document = get_openapi(title="Proofdesk", version=__version__, description=ABOUT, routes=app.routes)
        document["components"]["schemas"] |= {"Failure": Failure.model_json_schema()}
        document["components"]["securitySchemes"] = _SCHEMES
        for route in app.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                for method in route.methods or ():
                    _complete(document["paths"][route.path_format][method.lower()], route, method)
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = _FAILURE
    if needs_session(route.dependant):
        operation["security"] = [{"session": []} if method == "GET" else {"session": [], "csrf": []}]
