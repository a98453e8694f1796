"""The operations of the API as its description tells them, for people: the page /docs, and docs/reference/api.md."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from proofdesk.runbooks import registry

Document = dict[str, Any]
_ENVELOPE = {"ok", "request_id"}
GENERAL = {
    "invalid_request", "invalid_json", "payload_too_large", "unauthorized", "csrf_invalid", "active_project_required",
    "not_found", "method_not_allowed", "database_unavailable", "internal_error",
}  # fmt: skip
"""Codes that follow from what a request is and needs, and say nothing of an operation."""


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of a body or an answer. `kind` tells its type and bounds; `place` is for parameters."""

    name: str
    kind: str
    about: str
    place: str = ""


@dataclass(frozen=True)
class Refusal:
    """An error that an operation may answer."""

    status: int
    code: str
    meaning: str
    runbook: str


@dataclass(frozen=True)
class Operation:
    """One thing that the API does. `needs` is what it asks of the caller: session, csrf, project.

    `refusals` are those of its own, without the `GENERAL` ones.
    """

    method: str
    path: str
    tag: str
    summary: str
    about: str
    needs: tuple[str, ...]
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    status: int
    answer: tuple[Field, ...]
    refusals: tuple[Refusal, ...]


def all(document: Document) -> list[Operation]:
    """Every operation, in the order of the document."""
    return [
        _operation(document, path, method, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


def refusals(document: Document) -> dict[str, Refusal]:
    """Every code that any operation gives, once."""
    answers = [told["responses"] for methods in document["paths"].values() for told in methods.values()]
    return {refusal.code: refusal for given in answers for refusal in _refusals(given)}


def shape(document: Document, name: str) -> tuple[Field, ...]:
    """The fields of a shape that others refer to by its name."""
    return tuple(_fields(document, document["components"]["schemas"][name]))


def _operation(document: Document, path: str, method: str, told: Document) -> Operation:
    status, answer = next((s, r) for s, r in told["responses"].items() if s.startswith("2"))
    refusals = list(_refusals(told["responses"]))
    needs = [name for scheme in told.get("security", []) for name in scheme]
    return Operation(
        method=method.upper(),
        path=path,
        tag=told["tags"][0],
        summary=told["summary"],
        about=told.get("description", ""),
        needs=(*needs, *("project" for r in refusals if r.code == "active_project_required")),
        parameters=tuple(_field(p["name"], p["schema"] | p, p["in"]) for p in told.get("parameters", [])),
        body=tuple(_fields(document, _json(told.get("requestBody", {})))),
        status=int(status),
        answer=tuple(field for field in _fields(document, _json(answer)) if field.name not in _ENVELOPE),
        refusals=tuple(r for r in refusals if r.code not in GENERAL),
    )


def _json(content: Document) -> Document:
    return content.get("content", {}).get("application/json", {}).get("schema", {})


def _refusals(answers: Document) -> Iterator[Refusal]:
    for status, answer in answers.items():
        if int(status) >= HTTPStatus.BAD_REQUEST:
            for code, example in answer["content"]["application/json"]["examples"].items():
                yield Refusal(int(status), code, example["summary"], registry.runbook_for_error(code) or "")


def _fields(document: Document, schema: Document) -> Iterator[Field]:
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    properties = document["components"]["schemas"].get(name, schema).get("properties", {})
    return (_field(name, field) for name, field in properties.items())


def _field(name: str, schema: Document, place: str = "") -> Field:
    return Field(name, ", ".join([kind(schema), *_bounds(schema)]), schema.get("description", ""), place)


def kind(schema: Document) -> str:
    """The type of a value in words; a shape by its name."""
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(kind, schema["anyOf"])))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    words = {"string": "text", "date-time": "time", "uuid": "UUID"}
    given = str(schema.get("format") or schema.get("type", "anything"))
    return words.get(given, given)


def _bounds(schema: Document) -> Iterator[str]:
    inner = next((s for s in schema.get("anyOf", []) if s.get("type") != "null"), {}) | schema
    for least, most, of in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
    ):
        if least in inner and most in inner:
            yield f"{inner[least]:g} to {inner[most]:g}{of}"
        elif most in inner:
            yield f"at most {inner[most]:g}{of}"
        elif inner.get(least, 0) > 1:
            yield f"at least {inner[least]:g}{of}"
    if schema.get("default") not in (None, ""):
        yield f"default {schema['default']}"
