"""The operations in an OpenAPI document, for docs/reference/api.md."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from proofdesk.runbooks import registry

Document = dict[str, Any]
GENERAL_CODES = {
    "invalid_request", "invalid_json", "payload_too_large", "unauthorized", "csrf_invalid", "active_project_required",
    "not_found", "method_not_allowed", "database_unavailable", "internal_error",
}  # fmt: skip
"""Codes that many operations share, so that their sections omit them."""
_ENVELOPE = {"ok", "request_id"}
_TYPE_NAMES = {"date-time": "time", "uuid": "UUID"}


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of a body or an answer. `type_text` is its type with its bounds, in words."""

    name: str
    type_text: str
    description: str


@dataclass(frozen=True)
class ErrorCode:
    """An error that an operation can return."""

    status: int
    code: str
    meaning: str
    runbook: str


@dataclass(frozen=True)
class Operation:
    """One operation. `needs` lists what the client needs: session, csrf, project.

    `errors` are its own errors, without the general ones.
    """

    method: str
    path: str
    tag: str
    summary: str
    description: str
    needs: tuple[str, ...]
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    status: int
    answer: tuple[Field, ...]
    errors: tuple[ErrorCode, ...]


def list_operations(document: Document) -> list[Operation]:
    """Return every operation, in the order of the document."""
    return [
        _operation(document, path, method, description)
        for path, methods in document["paths"].items()
        for method, description in methods.items()
    ]


def list_errors(document: Document) -> dict[str, ErrorCode]:
    """Return every error code of all operations."""
    responses = [operation["responses"] for methods in document["paths"].values() for operation in methods.values()]
    return {error.code: error for by_status in responses for error in _errors(by_status)}


def schema_fields(document: Document, name: str) -> tuple[Field, ...]:
    """Return the fields of a named schema."""
    return tuple(_fields(document, document["components"]["schemas"][name]))


def _operation(document: Document, path: str, method: str, operation: Document) -> Operation:
    status, answer = next((s, r) for s, r in operation["responses"].items() if s.startswith("2"))
    errors = list(_errors(operation["responses"]))
    needs = [name for scheme in operation.get("security", []) for name in scheme]
    return Operation(
        method=method.upper(),
        path=path,
        tag=operation["tags"][0],
        summary=operation["summary"],
        description=operation.get("description", ""),
        needs=(*needs, *("project" for error in errors if error.code == "active_project_required")),
        parameters=tuple(_field(p["name"], p["schema"] | p) for p in operation.get("parameters", [])),
        body=tuple(_fields(document, _json_schema(operation.get("requestBody", {})))),
        status=int(status),
        answer=tuple(field for field in _fields(document, _json_schema(answer)) if field.name not in _ENVELOPE),
        errors=tuple(error for error in errors if error.code not in GENERAL_CODES),
    )


def _json_schema(content: Document) -> Document:
    return content.get("content", {}).get("application/json", {}).get("schema", {})


def _errors(responses: Document) -> Iterator[ErrorCode]:
    for status, response in responses.items():
        if int(status) >= HTTPStatus.BAD_REQUEST:
            for code, example in response["content"]["application/json"]["examples"].items():
                yield ErrorCode(int(status), code, example["summary"], registry.runbook_for_error(code) or "")


def _fields(document: Document, schema: Document) -> Iterator[Field]:
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    properties = document["components"]["schemas"].get(name, schema).get("properties", {})
    return (_field(name, field) for name, field in properties.items())


def _field(name: str, schema: Document) -> Field:
    return Field(name, ", ".join([_type_name(schema), *_bounds(schema)]), schema.get("description", ""))


def _type_name(schema: Document) -> str:
    """Return the type of a value in words, or the name of its schema."""
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_type_name, schema["anyOf"])))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type_name(schema.get('items', {}))}"
    name = str(schema.get("format") or schema.get("type", "anything"))
    return _TYPE_NAMES.get(name, name)


def _bounds(schema: Document) -> Iterator[str]:
    inner = next((s for s in schema.get("anyOf", []) if s.get("type") != "null"), {}) | schema
    for least, most, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
    ):
        if least in inner and most in inner:
            yield f"{inner[least]:g} to {inner[most]:g}{unit}"
        elif most in inner:
            yield f"at most {inner[most]:g}{unit}"
        elif inner.get(least, 0) > 1:
            yield f"at least {inner[least]:g}{unit}"
    if schema.get("default") not in (None, ""):
        yield f"default {schema['default']}"
