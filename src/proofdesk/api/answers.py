"""The envelope around every JSON answer, and how values look in it."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, create_model

from proofdesk.runbooks import book


class Answer(JSONResponse):
    """JSON with times in UTC and `Z`, ids as text, and rows as objects."""

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        return json.dumps(content, default=plain, ensure_ascii=False, separators=(",", ":")).encode()


def success(status: int = 200, /, **fields: Any) -> Answer:
    """`{"ok": true, …fields, "request_id"}`."""
    return Answer({"ok": True, **fields, "request_id": request_id()}, status)


def failure(
    status: int, code: str, message: str, details: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """`{"ok": false, "error", "message", "request_id", "details"?}`; `details.runbook` where there is one."""
    details = dict(details or {})
    if runbook := book.of_error(code, details.get("cause")):
        details["runbook"] = runbook
    content = {"ok": False, "error": code, "message": message, "request_id": request_id()}
    return Answer(content | ({"details": details} if details else {}), status, headers)


def request_id() -> str:
    """The id of the request under way, as it is on its log lines."""
    return structlog.contextvars.get_contextvars().get("request_id", "")


def moment(time: datetime) -> str:
    """ISO 8601 in UTC with `Z`."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: object) -> object:
    """A value as JSON knows it: for `json.dumps(default=…)`."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, UUID):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"no JSON for {type(value).__name__}")


# How answers are documented ---------------------------------------------------------------------------------------


class Failure(BaseModel):
    """What every error looks like."""

    ok: bool = Field(False, description="Always false.")
    error: str = Field(description="A fixed code, for programs.")
    message: str = Field(description="What is wrong and what to do, for a person.")
    request_id: str
    details: dict[str, Any] | None = None


def sometimes(kind: Any) -> tuple[Any, Any]:
    """A field of a shape that is left out where there is nothing to tell."""
    return kind, Field(None, json_schema_extra=_without_default)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def shape(name: str, **fields: Any) -> type[BaseModel]:
    """The documented form of a success: the envelope with these fields."""
    inside: dict[str, Any] = {key: kind if isinstance(kind, tuple) else (kind, ...) for key, kind in fields.items()}
    return create_model(name, ok=(bool, ...), **inside, request_id=(str, ...))
