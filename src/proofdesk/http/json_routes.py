"""JSON bodies and numbers in query strings: read leniently where that is harmless, refused with a reason elsewhere."""

import json
from typing import Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict

from proofdesk.accounts import csrf
from proofdesk.errors import Invalid
from proofdesk.http.dependencies import Route, is_form


class InvalidJson(Invalid):
    """The body is not JSON."""

    code = "invalid_json"


class JsonBody(BaseModel):
    """A JSON object; fields that are not known are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class JsonRoute(Route):
    """A route whose body is JSON, whatever its content type says. An empty body counts as `{}`."""

    async def prepared(self, request: Request) -> Request:
        """The request with its body parsed. Raises `InvalidJson` or `Invalid`."""
        if self.body_field is None or request.method in csrf.SAFE_METHODS:
            return request
        if is_form(request.headers.get("content-type", "")):
            raise InvalidJson("The body is a form; send JSON with content-type: application/json.")
        return _Parsed(request, _parsed(await request.body()))


class _Parsed(Request):
    """A request whose body has been parsed."""

    def __init__(self, request: Request, content: Any):
        others = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
        json_type = (b"content-type", b"application/json")  # FastAPI asks for it before it asks for the content
        super().__init__({**request.scope, "headers": [*others, json_type]}, request.receive)
        self.content = content

    async def body(self) -> bytes:
        """Something, since FastAPI takes no bytes for no body."""
        return b"{}"

    async def json(self) -> Any:
        """What was parsed."""
        return self.content


def _parsed(body: bytes) -> Any:
    try:
        content = json.loads(body.decode("utf-8") if body.strip() else "{}", parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InvalidJson("The body is not JSON.") from error
    _check_text(content)
    return content


def _no_number(name: str) -> None:
    raise ValueError(name)


def _check_text(content: Any) -> None:
    # NUL and halves of surrogate pairs, which no database can hold. Not recursive: the depth is the caller's.
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and ("\0" in value or any("\ud800" <= c <= "\udfff" for c in value)):
            raise Invalid("The body holds text with a NUL character or half a surrogate pair.")
