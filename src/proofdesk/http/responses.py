"""The envelope around every JSON answer, and how values look in it."""

from typing import Any

import msgspec
import structlog
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from proofdesk.runbooks import registry


class Envelope(Response):
    """JSON with times in UTC and `Z`, ids as text, and rows as objects.

    It is encoded without the id of a request, which is put in as it is sent: one answer may be sent to several who
    asked the same.
    """

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        return encode(content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer as that to the request under way."""
        body = bytes(self.body)[:-1] + b',"request_id":' + encode(request_id()) + b"}"
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def success(status: int = 200, /, **fields: Any) -> Envelope:
    """`{"ok": true, …fields, "request_id"}`."""
    return Envelope({"ok": True, **fields}, status)


def failure(
    status: int, code: str, message: str, details: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> Envelope:
    """`{"ok": false, "error", "message", "details"?, "request_id"}`; `details.runbook` where there is one."""
    details = dict(details or {})
    if runbook := registry.of_error(code, details.get("cause")):
        details["runbook"] = runbook
    content = {"ok": False, "error": code, "message": message}
    return Envelope(content | ({"details": details} if details else {}), status, headers)


def request_id() -> str:
    """The id of the request under way, as it is on its log lines."""
    return structlog.contextvars.get_contextvars().get("request_id", "")


encode = msgspec.json.Encoder().encode
