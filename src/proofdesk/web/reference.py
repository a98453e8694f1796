"""Page: the reference of the JSON API, drawn from its own description."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proofdesk.api import reference
from proofdesk.request import JSON_APP, Db, Route, Viewer
from proofdesk.web import shell

router = APIRouter(route_class=Route)


@router.get("/docs")
async def show_reference(request: Request, db: Db, session: Viewer) -> Response:
    """All operations, by tag."""
    document = reference.described(request.scope[JSON_APP])
    values = {"about": document["info"]["description"], "sections": _sections(document)}
    return shell.page(request, "reference/page.html", values, frame=await shell.frame(request, db, session))


def _sections(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    sections: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            sections.setdefault(operation["tags"][-1], []).append(_operation(document, path, method, operation))
    return sections


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    answer = next((r for code, r in operation["responses"].items() if code.startswith("2")), {})
    given = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return {
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "about": operation.get("description", ""),
        "open": "security" not in operation,
        "parameters": [_field(document, p["name"], p["schema"] | p, p["in"]) for p in operation.get("parameters", [])],
        "body": _fields(document, body),
        "answer": [f for f in _fields(document, given) if f["name"] not in ("ok", "request_id")],
    }


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, str]]:
    found = _resolved(document, schema).get("properties", {})
    return [_field(document, name, field, "") for name, field in found.items()]


def _field(document: dict[str, Any], name: str, schema: dict[str, Any], place: str) -> dict[str, str]:
    return {"name": name, "place": place, "kind": _kind(schema), "about": schema.get("description", "")}


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_kind(s) for s in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return schema.get("format") or schema.get("type", "any")


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    return document["components"]["schemas"].get(name, schema)
