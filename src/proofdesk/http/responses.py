"""The envelope of every JSON answer, and how values are encoded in it."""

from typing import Any

import msgspec
import structlog
from fastapi.responses import Response

from proofdesk.runbooks import registry

encode = msgspec.json.Encoder().encode


class JsonEnvelope(Response):
    """A JSON response: times in UTC with `Z`, UUIDs as strings, rows (dataclasses) as objects."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        return encode(content)


def success(status: int = 200, /, **fields: Any) -> JsonEnvelope:
    """Return `{"ok": true, …fields, "request_id"}`."""
    return JsonEnvelope({"ok": True, **fields, "request_id": request_id()}, status)


def failure(
    status: int, code: str, message: str, details: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> JsonEnvelope:
    """Return `{"ok": false, "error", "message", "details"?, "request_id"}`.

    `details.runbook` names the runbook for the code, when there is one.
    """
    details = dict(details or {})
    if runbook := registry.runbook_for_error(code, details.get("cause")):
        details["runbook"] = runbook
    content: dict[str, Any] = {"ok": False, "error": code, "message": message}
    if details:
        content["details"] = details
    return JsonEnvelope(content | {"request_id": request_id()}, status, headers)


def request_id() -> str:
    """Return the id of the current request, as its log lines show it; empty outside a request."""
    return structlog.contextvars.get_contextvars().get("request_id", "")
