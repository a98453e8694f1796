"""Invalid input never causes a 500, and errors reveal no internals."""

import json
import random
from typing import Any

import httpx2
import psycopg
from fastapi.routing import APIRoute

from proofdesk.http.app import JSON_ROUTERS
from tests.support.server import Cast

NASTY: list[Any] = [
    None, True, 0, -1, 1.5, 1e400, 2**31, 2**63, 2**64, 10**400, "", " ", "\0", "a\0b", "\ud800", "\udfff\ud800",
    "\uffff", "9999-12-31T23:59:59-14:00",
    "x" * 5000, "'; DROP TABLE projects; --", "%", "%s %(x)s", "{}", "../../etc/passwd", "<script>", "0",
    "9" * 40, "-1", "NaN", "2026-13-45", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
    "cw:x:1:2", "cw:00000000-0000-0000-0000-000000000000:1:99999999999999999999", "cwmsg:a:b:c", "🙂", "\u202e",
    [], [[]], {},
    {"a": {"b": [1, "\0"]}}, [None], ["\ud800"], {"\0": 1},
]  # fmt: skip
FIELDS = [
    "name", "account_scope_key", "account_scope_name", "source_kind", "external_id", "wait", "limit", "query", "topK",
    "mode", "filters", "username", "password",
]  # fmt: skip
FILTERS = ["from", "to", "inbox_ids", "conversation_global_id", "contact_global_id", "sender", "labels", "status"]
QUERY = ["q", "limit", "offset", "job_type", "status", "inbox_id", "conversation_global_id", "before", "wait"]
ROUTES = [
    (method, route.path)
    for router in JSON_ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
    if not route.path.startswith("/v1/auth/log")
]


async def test_invalid_input_is_never_a_500(cast: Cast, owner_conn: psycopg.Connection):
    owner_conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")  # else /ready says that none is alive
    dice = random.Random(4)
    for _ in range(6):
        for method, path in ROUTES:
            answer = await _send(cast, dice, method, path)
            assert answer.status_code < 500, (method, answer.url, answer.request.content, answer.text)
            _check_answer(answer)


async def test_invalid_fields_of_a_search_are_never_a_500(cast: Cast):
    for field in FILTERS:
        for value in NASTY:
            body = {"query": "refund", "mode": "text", "filters": {field: value}}
            _check_answer(await cast.member.client.post("/search", content=_json(body)))
    for field in ("query", "topK", "mode", "filters"):
        for value in NASTY:
            _check_answer(await cast.member.client.post("/search", content=_json({"query": "refund", field: value})))


async def test_invalid_input_at_sign_in_is_never_a_500(anyone: httpx2.AsyncClient):
    for value in NASTY:
        for body in ({"username": value, "password": "x"}, {"username": "x", "password": value}, value):
            _check_answer(await anyone.post("/auth/login", content=_json(body)))
        anyone.cookies.clear()


async def test_invalid_paths_are_never_a_500(cast: Cast):
    for raw in ("%00", "%FF", "%ED%A0%80", "%2e%2e/%2e%2e", "%0a", "x" * 3000, "%F0%9F%99%82", "'", "%25"):
        for pattern in ("/{}", "/conversations/{}/thread", "/jobs/runs/{}", "/projects/{}/sources", "/static/{}"):
            path = pattern.format(raw)
            for accept in ("text/html", "*/*"):
                answer = await cast.member.client.get(path, headers={"accept": accept})
                assert answer.status_code in (400, 404), (path, answer.status_code)
        for query in ("q", "mode", "inbox", "from", "to", "label", "status", "k", "hit", "next"):
            for page in ("/search?q=refund&", "/login?"):
                answer = await cast.member.client.get(f"{page}{query}={raw}", headers={"accept": "text/html"})
                assert answer.status_code in (200, 303, 400), (page, query, raw)


async def test_invalid_forms_are_never_a_500(cast: Cast, anyone: httpx2.AsyncClient):
    form = {"content-type": "application/x-www-form-urlencoded"}
    nul, bad = b"name=%00&project_id=%00&username=%00&password=%00", b"name=%ff&username=%ff&password=%ff"
    for content in (nul, bad, b"%", b"&&&=", b"name"):
        for path in ("/projects", "/projects/select"):
            answer = await cast.member.client.post(path, content=content, headers=form)
            assert answer.status_code in (303, 400), content
        assert (await anyone.post("/login", content=content, headers=form)).status_code in (400, 401, 429)
    parts = {"content-type": "multipart/form-data; boundary=x"}
    file = b'--x\r\nContent-Disposition: form-data; name="name"; filename="f"\r\n\r\nabc\r\n--x--\r\n'
    for content in (b"", b"--x\r\n\r\n", file):
        assert (await cast.member.client.post("/projects", content=content, headers=parts)).status_code == 400


async def _send(cast: Cast, dice: random.Random, method: str, path: str) -> httpx2.Response:
    for name in ("{project_id}", "{source_id}", "{run_id}", "{conversation_id}"):
        own = name == "{project_id}" and dice.random() < 0.7
        value = cast.member.project_id if own else dice.choice(["0", "x%00", "%FF", "cw:a"])
        path = path.replace(name, str(value))
    body = {field: dice.choice(NASTY) for field in dice.sample(FIELDS, 5)}
    if isinstance(body.get("filters"), dict) or dice.random() < 0.3:
        body["filters"] = {field: dice.choice(NASTY) for field in dice.sample(FILTERS, 3)}
    texts = [value for value in NASTY if isinstance(value, str | int)]
    chosen = {name: str(dice.choice(texts)) for name in dice.sample(QUERY, 3)} | {"wait": "0"}
    query = {name: text.encode("utf-8", "surrogatepass").decode("latin-1") for name, text in chosen.items()}
    content = None if method == "GET" else _json(body)
    return await cast.member.client.request(method, path, params=query, content=content)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _check_answer(answer: httpx2.Response) -> None:
    assert answer.status_code < 500, (answer.request.content, answer.text)
    if answer.request.url.path.endswith(("openapi.json", "/metrics")):
        return  # these have no envelope
    body = answer.json()
    assert body["ok"] == (answer.status_code < 400) and body["request_id"]
    if not body["ok"]:
        internals = ("Traceback", "SELECT", "psycopg", "pydantic", "asyncpg", ".py")
        assert not any(word in body["message"] for word in internals), body
