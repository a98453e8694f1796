"""Routes with JSON bodies: how a body is read, and which bodies are refused."""

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
    """A JSON object. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class JsonRoute(Route):
    """A route whose body is JSON, whatever its content type. An empty body counts as `{}`."""

    async def prepare_request(self, request: Request) -> Request:
        """Return the request with its body parsed. Raises `InvalidJson` or `Invalid`."""
        if self.body_field is None or request.method in csrf.SAFE_METHODS:
            return request
        if is_form(request.headers.get("content-type", "")):
            raise InvalidJson("The body is a form. Send JSON with content-type: application/json.")
        return _ParsedRequest(request, _parse(await request.body()))


class _ParsedRequest(Request):
    """A request whose body is parsed already."""

    def __init__(self, request: Request, content: Any):
        headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
        json_type = (b"content-type", b"application/json")  # FastAPI reads the type before the content
        super().__init__({**request.scope, "headers": [*headers, json_type]}, request.receive)
        self.content = content

    async def body(self) -> bytes:
        """Return an object, because FastAPI treats an empty body as a missing one."""
        return b"{}"

    async def json(self) -> Any:
        """Return the parsed content."""
        return self.content


def _parse(body: bytes) -> Any:
    try:
        content = json.loads(body.decode("utf-8") if body.strip() else "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidJson("The body is not JSON.") from error
    _check_strings(content)
    return content


def _refuse_constant(name: str) -> None:
    # NaN and Infinity are not JSON.
    raise ValueError(name)


def _check_strings(content: Any) -> None:
    # PostgreSQL cannot store NUL characters or lone surrogates. No recursion: the client decides the depth.
    stack = [content]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            stack += value
        elif isinstance(value, str) and ("\0" in value or any("\ud800" <= c <= "\udfff" for c in value)):
            raise Invalid("The body contains a NUL character or a lone surrogate. Remove it.")
