"""Writes docs/reference/api.md: every route with its OpenAPI description and a request of `examples.json`."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import api_operations
from api_operations import Field, Operation
from fastapi import FastAPI

from proofdesk.http.api import openapi
from proofdesk.http.app import JSON_ROUTERS

_CHAPTERS = {
    "Health": ("health",),
    "Signing in": ("auth",),
    "Projects, members, sources": ("projects",),
    "Jobs, scheduler, worker": ("jobs",),
    "Search and data review": ("search", "data review"),
    "Outbound": ("outbound",),
    "Audit, evidence, runbooks": ("audit", "runbooks"),
}
_NEEDS = {"session": "session", "csrf": "token", "project": "project"}
_EXAMPLES = Path(__file__).parent / "examples.json"
_INTRODUCTION = """\
# API

JSON over HTTP, on the server's own port. Generated from the code (`make docs`). A running Proofdesk serves the same
reference at `/v1/openapi.json`, for programs, and at `/docs`.

- **URLs.** Every route exists under `/`, `/v1`, `/api` and `/api/v1`. A `GET` that accepts `text/html` returns the page
  of that name.
- **Answers.** `{"ok": true, …, "request_id"}`; for every error `{"ok": false, "error": "<code>", "message",
  "request_id", "details"?}`, where `details.runbook` names the runbook that finds the cause. Times are UTC with `Z`.
- **Authentication.** *Session*: sign in, and keep the cookies. *Token*: also send the value of the cookie `csrf_token`
  in the header `x-csrf-token`. *Project*: also select a project. A
  request may name the project that it is for in the header `X-Project-Id`: if another one is active, nothing happens.
- **Ids.** A contact is `cwc:<project>:<account>:<contact>`, a conversation `cw:<project>:<account>:<conversation>`, a
  message `cwmsg:<project>:<account>:<message>`, with the numbers of Chatwoot.

Each route lists its own errors. Errors that any route can return, and the meaning of each code, are
[at the end](#errors). The examples use this shell function, with the URL of your Proofdesk:

```sh
desk() { curl --silent --show-error --cookie jar --cookie-jar jar \\
    --header "x-csrf-token: $(awk '$6 == "csrf_token" {print $7}' jar 2>/dev/null)" \\
    --header "content-type: application/json" "http://127.0.0.1:8080$1" "${@:2}"; }
```
"""


def page() -> str:
    """Return the text of the page."""
    document = _document()
    operations = api_operations.list_operations(document)
    examples: dict[str, Any] = json.loads(_EXAMPLES.read_text("utf-8"))
    if unknown := examples.keys() - {_name(operation) for operation in operations}:
        raise KeyError(f"examples.json names routes that do not exist: {sorted(unknown)}")
    schemas = set(document["components"]["schemas"])
    lines = [_INTRODUCTION.rstrip()]
    for title, tags in _CHAPTERS.items():
        lines += ["", f"## {title}"]
        for operation in (o for o in operations if o.tag in tags):
            lines += _section(operation, schemas, examples.get(_name(operation)))
    return "\n".join([*lines, *_schemas(document, operations), *_errors(document)]) + "\n"


def _document() -> dict[str, Any]:
    app = FastAPI()
    for router in JSON_ROUTERS:
        app.router.routes.extend(router.routes)
    return openapi.build_document(app)


def _name(operation: Operation) -> str:
    return f"{operation.method} {operation.path.removeprefix('/v1')}"


def _section(operation: Operation, schemas: set[str], example: Any) -> Iterator[str]:
    needs = ", ".join(_NEEDS[name] for name in operation.needs)
    yield from ("", f"### `{_name(operation)}`", "")
    yield f"{operation.summary}. {operation.description} *{needs.capitalize() or 'Public'}.*".replace("  ", " ")
    for title, fields in (("Parameter", operation.parameters), ("Body", operation.body)):
        if fields:
            yield from ("", *_table(title, fields, schemas))
    answer = ", ".join(f"`{f.name}` ({_linked(f.type_text, schemas)})" for f in operation.answer)
    yield from ("", f"Returns {operation.status}" + (f": {answer}." if answer else "."))
    if operation.errors:
        by_status = groupby(operation.errors, lambda error: error.status)
        codes = (f"{status} " + ", ".join(f"`{error.code}`" for error in errors) for status, errors in by_status)
        yield from ("", f"Errors: {'; '.join(codes)}.")
    if example is not None:
        yield from ("", "```sh", _curl(operation, example), "```")


def _table(title: str, fields: Iterable[Field], schemas: set[str]) -> Iterator[str]:
    rows = [(f"`{f.name}`", _linked(f.type_text, schemas), f.description.replace("|", "\\|")) for f in fields]
    columns = 3 if any(description for _, _, description in rows) else 2
    if rows:
        for row in ((title, "Type", "Meaning"), ("---",) * 3, *rows):
            yield f"| {' | '.join(row[:columns])} |"


def _linked(type_text: str, schemas: set[str]) -> str:
    words = [f"[{w}](#{w.lower()})" if w in schemas else w for w in re.split(r"(\w+)", type_text)]
    return "".join(words).replace("|", "\\|")


def _curl(operation: Operation, example: Any) -> str:
    """Return a call of `desk`. Values such as `$CONVERSATION` are variables of the shell."""
    call = f'desk "{example.get("path", _name(operation).split()[1])}"'
    if "body" in example:
        body = re.sub(r"\$[A-Z_]+", lambda name: f"'\"{name[0]}\"'", json.dumps(example["body"], ensure_ascii=False))
        return call + ("" if operation.method == "POST" else f" --request {operation.method}") + f" --data '{body}'"
    return call + ("" if operation.method == "GET" else f" --request {operation.method}")


def _schemas(document: dict[str, Any], operations: list[Operation]) -> Iterator[str]:
    """Yield a section for each named schema that an operation refers to, directly or not."""
    schemas = set(document["components"]["schemas"])
    stack = [f.type_text for o in operations for f in (*o.parameters, *o.body, *o.answer)]
    used: set[str] = set()
    while stack:
        for name in set(re.findall(r"\w+", stack.pop())) & schemas - used:
            used.add(name)
            stack += [f.type_text for f in api_operations.schema_fields(document, name)]
    yield from ("", "## Schemas")
    for name in sorted(used):
        yield from ("", f"### {name}", "", document["components"]["schemas"][name].get("description", ""), "")
        yield from _table("Field", api_operations.schema_fields(document, name), schemas)


def _errors(document: dict[str, Any]) -> Iterator[str]:
    yield from ("", "## Errors", "", "| Code | Status | Meaning | Runbook |", "| --- | --- | --- | --- |")
    for code, error in sorted(api_operations.list_errors(document).items()):
        yield f"| `{code}` | {error.status} | {error.meaning} | {error.runbook and f'`{error.runbook}`'} |"
