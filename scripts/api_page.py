"""docs/reference/api.md: every route of the API, from its own description, with the questions of `examples.json`."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import api_operations as operations
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
_EXAMPLES = Path(__file__).parent / "examples.json"
_INTRODUCTION = """\
# API

JSON over HTTP, on the server's own port. Generated from the code (`make docs`); a running Proofdesk tells the same at
`/v1/openapi.json`, for programs, and at `/docs`.

- **Addresses.** Every route answers under `/`, `/v1`, `/api` and `/api/v1`. A `GET` that accepts `text/html` gets the
  page of that name.
- **Answers.** `{"ok": true, …, "request_id"}`; on every error `{"ok": false, "error": "<code>", "message",
  "request_id", "details"?}`, where `details.runbook` names the runbook that finds the cause. Times are UTC with `Z`.
- **Who asks.** *Session*: sign in, and keep the cookies. *Token*: also send the value of the cookie `csrf_token` in the
  header `x-csrf-token`. *Project*: also choose a project.
- **Ids.** A contact is `cwc:<project>:<account>:<contact>`, a conversation `cw:<project>:<account>:<conversation>`, a
  message `cwmsg:<project>:<account>:<message>`, with the numbers that Chatwoot gave them.

What any route may refuse, and what each code means, is [at the end](#errors); routes list what is their own. The
examples go on from this, with the address of yours:

```sh
desk() { curl --silent --show-error --cookie jar --cookie-jar jar \\
    --header "x-csrf-token: $(awk '$6 == "csrf_token" {print $7}' jar 2>/dev/null)" \\
    --header "content-type: application/json" "http://127.0.0.1:8080$1" "${@:2}"; }
```
"""


def page() -> str:
    """The page."""
    document = _document()
    found = operations.all(document)
    examples: dict[str, Any] = json.loads(_EXAMPLES.read_text("utf-8"))
    if unknown := examples.keys() - {_name(operation) for operation in found}:
        raise KeyError(f"examples.json names routes that are not there: {sorted(unknown)}")
    shapes = set(document["components"]["schemas"])
    lines = [_INTRODUCTION.rstrip()]
    for title, tags in _CHAPTERS.items():
        lines += ["", f"## {title}"]
        for operation in (o for o in found if o.tag in tags):
            lines += _section(operation, shapes, examples.get(_name(operation)))
    return "\n".join([*lines, *_shapes(document, found), *_errors(document)]) + "\n"


def _document() -> dict[str, Any]:
    app = FastAPI()
    for router in JSON_ROUTERS:
        app.router.routes.extend(router.routes)
    return openapi.build_document(app)


def _name(operation: Operation) -> str:
    return f"{operation.method} {operation.path.removeprefix('/v1')}"


def _section(operation: Operation, shapes: set[str], example: Any) -> Iterator[str]:
    ends = "" if operation.summary.endswith("?") else "."
    needs = ", ".join({"session": "session", "csrf": "token", "project": "project"}[name] for name in operation.needs)
    yield from ("", f"### `{_name(operation)}`", "")
    yield f"{operation.summary}{ends} {operation.about} *{needs.capitalize() or 'Public'}.*".replace("  ", " ")
    for title, fields in (("Parameter", operation.parameters), ("Body", operation.body)):
        if fields:
            yield from ("", *_table(title, fields, shapes))
    answer = ", ".join(f"`{f.name}` ({_linked(f.kind, shapes)})" for f in operation.answer)
    yield from ("", f"Answers {operation.status}" + (f": {answer}." if answer else "."))
    if operation.refusals:
        by_status = groupby(operation.refusals, lambda refusal: refusal.status)
        told = (f"{status} " + ", ".join(f"`{refusal.code}`" for refusal in some) for status, some in by_status)
        yield from ("", f"Refuses: {'; '.join(told)}.")
    if example is not None:
        yield from ("", "```sh", _curl(operation, example), "```")


def _table(title: str, fields: Iterable[Field], shapes: set[str]) -> Iterator[str]:
    told = [(f"`{f.name}`", _linked(f.kind, shapes), f.about.replace("|", "\\|")) for f in fields]
    columns = 3 if any(about for _, _, about in told) else 2
    if told:
        for row in ((title, "Type", "Meaning"), ("---",) * 3, *told):
            yield f"| {' | '.join(row[:columns])} |"


def _linked(kind: str, shapes: set[str]) -> str:
    words = [f"[{w}](#{w.lower()})" if w in shapes else w for w in re.split(r"(\w+)", kind)]
    return "".join(words).replace("|", "\\|")


def _curl(operation: Operation, example: Any) -> str:
    """A call of `desk`; values such as `$CONVERSATION` are the shell's."""
    call = f'desk "{example.get("path", _name(operation).split()[1])}"'
    if "body" in example:
        body = re.sub(r"\$[A-Z_]+", lambda name: f"'\"{name[0]}\"'", json.dumps(example["body"], ensure_ascii=False))
        return call + ("" if operation.method == "POST" else f" --request {operation.method}") + f" --data '{body}'"
    return call + ("" if operation.method == "GET" else f" --request {operation.method}")


def _shapes(document: dict[str, Any], found: list[Operation]) -> Iterator[str]:
    """What answers and bodies hold that has a name, as far as anything refers to it."""
    known = set(document["components"]["schemas"])
    waiting = [f.kind for o in found for f in (*o.parameters, *o.body, *o.answer)]
    named: set[str] = set()
    while waiting:
        for name in set(re.findall(r"\w+", waiting.pop())) & known - named:
            named.add(name)
            waiting += [f.kind for f in operations.shape(document, name)]
    yield from ("", "## Shapes")
    for name in sorted(named):
        yield from ("", f"### {name}", "", document["components"]["schemas"][name].get("description", ""), "")
        yield from _table("Field", operations.shape(document, name), known)


def _errors(document: dict[str, Any]) -> Iterator[str]:
    yield from ("", "## Errors", "", "| Code | Status | Meaning | Runbook |", "| --- | --- | --- | --- |")
    for code, refusal in sorted(operations.refusals(document).items()):
        yield f"| `{code}` | {refusal.status} | {refusal.meaning} | {refusal.runbook and f'`{refusal.runbook}`'} |"
