"""HTTP responses from the values that handlers return."""

import json
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from proofdesk_simulators.chatwoot import access
from proofdesk_simulators.chatwoot.refusals import CATALOGUE, ChatwootRefusal, ErrorResponse
from proofdesk_simulators.chatwoot.routes import call as calls
from proofdesk_simulators.chatwoot.routes.call import Call, Handler
from proofdesk_simulators.chatwoot.routes.table import OPEN, USERS
from proofdesk_simulators.chatwoot.simulator import ChatwootSimulator

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def endpoint(simulator: ChatwootSimulator, handler: Handler, allowed: str) -> Endpoint:
    """Return an endpoint that parses the request, checks the caller, and runs the handler under the lock."""

    async def respond(request: Request) -> Response:
        try:
            call = await calls.read(request, simulator)
            with simulator.installation.lock:
                if allowed != OPEN:
                    _admit(call, request, allowed)
                return error_response(ErrorResponse(200, encode(handler(call))))
        except ChatwootRefusal as refusal:
            return error_response(refusal.response)

    return respond


def error_response(answer: ErrorResponse, headers: dict[str, str] | None = None) -> Response:
    """Return an error response with its media type and a request id."""
    body = answer.body if isinstance(answer.body, str | bytes) else encode(answer.body)
    return Response(
        body,
        answer.status,
        {"Content-Type": answer.media_type} | answer.headers | request_id_header() | (headers or {}),
    )


def request_id_header() -> dict[str, str]:
    """Return the header with the request id."""
    return {"X-Request-Id": str(uuid.uuid4())}


def encode(value: object) -> bytes:
    """Return UTF-8 JSON, or no bytes for an empty response."""
    if isinstance(value, calls.Empty):
        return b""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate can only be sent as a JSON escape
        return json.dumps(value, separators=(",", ":")).encode()


async def unknown_route(request: Request) -> Response:
    """Return the 404 of an unknown route: HTML, unless the client accepts JSON only."""
    accepts_json = "application/json" in request.headers.get("accept", "")
    return error_response(CATALOGUE["404_route" if accepts_json else "404_page"])


def _admit(call: Call, request: Request, allowed: str) -> None:
    installation = call.installation
    call.found_caller = access.authenticate(installation, calls.token(request, installation))
    (access.require_user if allowed == USERS else access.require_user_or_bot)(call.caller)
    if "account_id" in call.path:
        call.found_account = access.get_account(installation, call.caller, call.path["account_id"])
